package host

import (
	"bufio"
	"os"
	"slices"
	"strings"
)

// Hierarchy is a mounted cgroup hierarchy.
type Hierarchy struct {
	Version2   bool
	Mount      string // where it is mounted
	Root       string // the group that is mounted there, as in /proc/PID/cgroup
	Controller string // of version 1: the one for which it was found
}

// FindHierarchies finds the hierarchies among the mounts of this process that can have a controller
// (proc_pid_mountinfo(5)). A host can have both versions.
func FindHierarchies(controller string) []Hierarchy {
	file, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil
	}
	defer file.Close()
	var found []Hierarchy
	for lines := bufio.NewScanner(file); lines.Scan(); {
		const root, mount = 3, 4
		before, after, _ := strings.Cut(lines.Text(), " - ")
		place, kind := strings.Fields(before), strings.Fields(after)
		if len(place) <= mount || len(kind) < 3 {
			continue
		}
		h := Hierarchy{kind[0] == "cgroup2", place[mount], place[root], controller}
		if h.Version2 || kind[0] == "cgroup" && slices.Contains(strings.Split(kind[2], ","), controller) {
			found = append(found, h)
		}
	}
	return found
}

// GroupOf returns the path below the mount of the group of a process, whose /proc/PID/cgroup is
// given. It returns false if the group is not below the mount.
func (h Hierarchy) GroupOf(membership []byte) (string, bool) {
	for line := range strings.Lines(string(membership)) {
		fields := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3) // number:controllers:path
		if len(fields) < 3 || !h.isNamed(fields[0], fields[1]) {
			continue
		}
		below, ok := strings.CutPrefix(fields[2], strings.TrimSuffix(h.Root, "/"))
		// "/../x" is outside of the cgroup namespace of this process.
		outside := slices.Contains(strings.Split(below, "/"), "..")
		return below, ok && !outside && (below == "" || below[0] == '/')
	}
	return "", false
}

// isNamed reports whether a line of /proc/PID/cgroup is about the hierarchy.
func (h Hierarchy) isNamed(number, controllers string) bool {
	if h.Version2 {
		return number == "0"
	}
	return slices.Contains(strings.Split(controllers, ","), h.Controller)
}
