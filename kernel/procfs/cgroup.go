package procfs

import (
	"bytes"
	"cmp"
)

// membership is what the control groups of a process prove about who started it. Unknown fields are
// empty.
//
// A name counts only where the host alone can choose it. Whoever runs below the manager of a user,
// in a container or a machine, or in a service that has Delegate=yes can give a group any name,
// also the name of a unit or a container of the host.
type membership struct {
	unit      string // service of the host's service manager, as unitName writes it
	container string // id that a container runtime of the host has given
	pod       string // uid of the Kubernetes pod
	nested    string // closewait.Process.Nested
}

// The hierarchies in the order in which they are read: systemd moves a process in its own hierarchy
// first, whatever else is mounted.
const (
	systemdHierarchy = iota // cgroup v1, name=systemd
	unifiedHierarchy        // cgroup v2, alone or beside v1
	otherHierarchy          // controllers of cgroup v1
	hierarchies
)

// parseCgroup parses a /proc/PID/cgroup (cgroups(7)), a line "ID:controllers:path" for each
// hierarchy. It knows many layouts and never fails: in an unknown layout it finds nothing.
//
// The first hierarchy in which the process is not in the root group decides. The others can
// contradict it: users can have groups of their own there, and a runtime that uses v1 leaves its
// containers in its own service in v2, as in `0::/system.slice/containerd.service`.
func parseCgroup(data []byte) membership {
	for wanted := range hierarchies {
		for line := range bytes.Lines(data) {
			hierarchy, path := parseCgroupLine(bytes.TrimSuffix(line, []byte{'\n'}))
			if hierarchy != wanted {
				continue
			}
			names := splitPath(path)
			m := membershipOf(names)
			if m != (membership{}) || wanted != otherHierarchy && len(names) > 0 {
				return m
			}
		}
	}
	return membership{}
}

// SystemdCgroup returns the path of the control group in which systemd keeps a process, from its
// /proc/PID/cgroup: in the hierarchy of its own if there is one, else in the unified one. It is
// empty if the process is in neither.
func SystemdCgroup(data []byte) string {
	var found [hierarchies]string
	for line := range bytes.Lines(data) {
		hierarchy, path := parseCgroupLine(bytes.TrimSuffix(line, []byte{'\n'}))
		found[hierarchy] = string(path)
	}
	return cmp.Or(found[systemdHierarchy], found[unifiedHierarchy])
}

func parseCgroupLine(line []byte) (hierarchy int, path []byte) {
	id, rest, _ := bytes.Cut(line, []byte{':'})
	controllers, path, _ := bytes.Cut(rest, []byte{':'})
	path = bytes.TrimSuffix(path, []byte(" (deleted)")) // an rmdir while the process was in it
	switch {
	case string(controllers) == "name=systemd":
		return systemdHierarchy, path
	case string(id) == "0" && len(controllers) == 0:
		return unifiedHierarchy, path
	}
	return otherHierarchy, path
}

// splitPath returns the names on a path from the root to the process. In a cgroup namespace, paths
// outside it begin with "..".
func splitPath(path []byte) (names [][]byte) {
	for name := range bytes.SplitSeq(path, []byte{'/'}) {
		if len(name) > 0 && string(name) != ".." {
			names = append(names, name)
		}
	}
	return names
}

func membershipOf(names [][]byte) membership {
	p := findPlace(names)
	m := membership{unit: p.unit, container: string(p.container), pod: p.pod}
	inside := groupWithin(p.inside, maxNesting)
	switch {
	case p.machine != "":
		m.nested = join(p.machine, inside)
	case p.isUserManager() && !p.isManagerItself():
		m.unit, m.nested = "", ""
		if inside != "" {
			m.nested = join(p.unit, inside)
		}
	case inside != "":
		m.nested = join(p.group(), inside)
	}
	return m
}

// maxNesting is the maximum number of names that a nested group has after the first one. They are
// there for people: only the first one is given by the host.
const maxNesting = 3

// groupWithin returns the group of a process inside a user manager, a container or a machine, as
// the names there show it; empty if they show none.
func groupWithin(names [][]byte, nesting int) string {
	for len(names) > 0 && payloadNames[string(names[0])] {
		names = names[1:]
	}
	if len(names) == 0 || nesting == 0 {
		return ""
	}
	p := findPlace(names)
	inside := groupWithin(p.inside, nesting-1)
	if inside == "" && p.isUserManager() && !p.isManagerItself() {
		return ""
	}
	return join(p.group(), inside)
}

// payloadNames are the groups into which runtimes put a container, below the group that has its
// name: crun, nspawn, Proxmox, dockerd.
var payloadNames = map[string]bool{"container": true, "payload": true, "ns": true, "init": true}

func join(outer, inside string) string {
	if outer == "" || inside == "" {
		return outer
	}
	return outer + "/" + inside
}
