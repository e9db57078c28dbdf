package kernel

import "bytes"

// membership is what the control groups of a process tell of who started it. What they do not tell
// is empty.
type membership struct {
	unit      string // systemd service, escaped as systemd escapes it
	container string // id
	pod       string // uid of the Kubernetes pod
}

// The hierarchies in the order in which they are asked: systemd moves a process in its own one first,
// whatever else is mounted.
const (
	systemdHierarchy = iota // cgroup v1, name=systemd
	unifiedHierarchy        // cgroup v2, alone or beside v1
	otherHierarchy          // controllers of cgroup v1
	hierarchies
)

// parseCgroup reads a /proc/PID/cgroup (cgroups(7)), a line "ID:controllers:path" for each hierarchy.
// It knows many layouts and never fails: of an unknown one it can say nothing.
//
// Where a hierarchy has told the container, those after it are not asked for the unit: a runtime that
// uses v1 leaves its containers in its own service in v2, as `0::/system.slice/containerd.service`.
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
	path = bytes.TrimSuffix(path, []byte(" (deleted)")) // by an rmdir while the process was in it
	switch {
	case string(controllers) == "name=systemd":
		return systemdHierarchy, path
	case string(id) == "0" && len(controllers) == 0:
		return unifiedHierarchy, path
	}
	return otherHierarchy, path
}

// parseCgroupPath goes through a path from the root to the process.
func parseCgroupPath(path []byte) membership {
	var walk cgroupWalk
	for name := range bytes.SplitSeq(path, []byte{'/'}) {
		// Seen from within a cgroup namespace, paths outside it begin with "..".
		if len(name) > 0 && string(name) != ".." {
			walk.enter(name)
		}
	}
	if len(walk.manager) > 0 {
		walk.unit = walk.manager
	}
	return membership{unit: string(walk.unit), container: string(walk.container), pod: walk.pod}
}

// cgroupWalk is what the part of a path told that was gone through.
type cgroupWalk struct {
	unit, manager, container []byte
	pod                      string
	parent                   []byte // the name before
}

// enter goes one level down. The innermost name of each kind counts. A service around a container
// or a pod is that of the runtime or the kubelet, which would be the same for all of them, except
// where podman runs as the unit and splits its group (quadlet).
func (w *cgroupWalk) enter(name []byte) {
	if string(name) != "init.scope" {
		w.manager = nil
	}
	if bytes.Contains(name, []byte("kubepods")) {
		w.unit = nil
	}
	if pod := podUID(name); pod != "" {
		w.pod, w.container, w.unit = pod, nil, nil
	}
	if id, runtime := containerID(name, w.parent); len(id) > 0 {
		w.container = id
		if string(runtime) != "libpod-payload" {
			w.unit = nil
		}
	}
	switch {
	case !bytes.HasSuffix(name, []byte(".service")):
	case bytes.HasPrefix(name, []byte("user@")):
		// All of a user's services, terminals and containers are below the user's manager, so
		// it is the unit of none of them: only of itself, in its init.scope.
		w.manager = name
	default:
		w.unit = name
	}
	w.parent = name
}

// podUID is the uid of the pod that a group is of, with dashes: from "pod<uid>" below kubepods, or
// "kubepods-burstable-pod<uid>.slice", where dashes would mean a level and so are underscores. The
// kubelet gives static pods a hash of 32 digits.
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
