package procfs

import "bytes"

// membership is what the control groups of a process show about who started it. Unknown fields are
// empty.
type membership struct {
	unit      string // systemd service, escaped as systemd escapes it
	container string // id
	pod       string // uid of the Kubernetes pod
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
// After a hierarchy that names the container, the unit is not read from the hierarchies that
// follow: a runtime that uses v1 leaves its containers in its own service in v2, as in
// `0::/system.slice/containerd.service`.
func parseCgroup(data []byte) membership {
	var m membership
	for wanted := range hierarchies {
		for line := range bytes.Lines(data) {
			hierarchy, path := parseCgroupLine(bytes.TrimSuffix(line, []byte{'\n'}))
			if hierarchy != wanted {
				continue
			}
			found, inside := parseCgroupPath(path), m.container+m.pod != ""
			if m.unit == "" && !inside {
				m.unit = found.unit
			}
			if !inside {
				m.container, m.pod = found.container, found.pod
			}
		}
	}
	return m
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

// parseCgroupPath reads a path from the root to the process.
func parseCgroupPath(names []byte) membership {
	var path cgroupPath
	for name := range bytes.SplitSeq(names, []byte{'/'}) {
		// In a cgroup namespace, paths outside it begin with "..".
		if len(name) > 0 && string(name) != ".." {
			path.enter(name)
		}
	}
	if len(path.manager) > 0 {
		path.unit = path.manager
	}
	return membership{unit: string(path.unit), container: string(path.container), pod: path.pod}
}

// cgroupPath is what the names of a path have shown so far.
type cgroupPath struct {
	unit, manager, container []byte
	pod                      string
	parent                   []byte // the name one level up
}

// enter processes the name one level down. The innermost name of each kind counts. A service around
// a container or a pod is the runtime or the kubelet, the same for all containers, so it is not
// their unit, except where podman runs as the unit and splits its group (quadlet).
func (p *cgroupPath) enter(name []byte) {
	if string(name) != "init.scope" {
		p.manager = nil
	}
	if bytes.Contains(name, []byte("kubepods")) {
		p.unit = nil
	}
	if pod := podUID(name); pod != "" {
		p.pod, p.container, p.unit = pod, nil, nil
	}
	if id, runtime := containerID(name, p.parent); len(id) > 0 {
		p.container = id
		if string(runtime) != "libpod-payload" {
			p.unit = nil
		}
	}
	switch {
	case !bytes.HasSuffix(name, []byte(".service")):
	case bytes.HasPrefix(name, []byte("user@")):
		// All services, terminals and containers of a user are below the manager of the user, so it
		// is not their unit. It is only the unit of the manager itself, in its init.scope.
		p.manager = name
	default:
		p.unit = name
	}
	p.parent = name
}

// podUID returns the uid of the pod to which a group belongs, with dashes. It is in the names
// "pod<uid>" below kubepods and "kubepods-burstable-pod<uid>.slice", where it has underscores, as a
// dash would mean a level. The uid of a static pod is a hash of 32 digits.
func podUID(name []byte) string {
	name, _, _ = bytes.Cut(name, []byte{':'}) // as in "...-pod<uid>.slice:cri-containerd:<id>"
	name = bytes.TrimSuffix(name, []byte(".slice"))
	if at := bytes.LastIndex(name, []byte("-pod")); at >= 0 {
		name = name[at+1:]
	}
	uid, found := bytes.CutPrefix(name, []byte("pod"))
	dashed := bytes.ReplaceAll(uid, []byte{'_'}, []byte{'-'})
	if !found || !isHex(uid, 32) && !isUUID(dashed, 12) {
		return ""
	}
	return string(dashed)
}
