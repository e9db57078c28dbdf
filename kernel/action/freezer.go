package action

import (
	"bufio"
	"bytes"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"closewait_exporter/kernel/host"
)

// freezer is a mounted cgroup hierarchy that can freeze processes.
type freezer struct {
	version2 bool
	mount    string // where it is mounted
	root     string // the group that is mounted there, as in /proc/PID/cgroup
}

// findFreezers finds the freezers among the mounts of this process (proc_pid_mountinfo(5)). A host
// can have both versions.
func findFreezers() []freezer {
	file, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil
	}
	defer file.Close()
	var found []freezer
	for lines := bufio.NewScanner(file); lines.Scan(); {
		const root, mount = 3, 4
		before, after, _ := strings.Cut(lines.Text(), " - ")
		place, kind := strings.Fields(before), strings.Fields(after)
		if len(place) <= mount || len(kind) < 3 {
			continue
		}
		f := freezer{kind[0] == "cgroup2", place[mount], place[root]}
		if f.version2 || kind[0] == "cgroup" && slices.Contains(strings.Split(kind[2], ","), "freezer") {
			found = append(found, f)
		}
	}
	return found
}

// isFrozen reports whether a process is in a frozen cgroup. If its cgroup cannot be read, as from
// inside a container, it checks in which kernel function the main thread sleeps.
func (e *Executor) isFrozen(process host.Directory) bool {
	membership, err := process.Read("cgroup", nil)
	if err != nil {
		return false
	}
	known := false
	for _, f := range e.freezers {
		group, ok := f.groupOf(membership)
		if !ok {
			continue
		}
		frozen, ok := f.readState(group)
		if frozen {
			return true
		}
		known = known || ok
	}
	return !known && sleepsInFreezer(process)
}

// frozenTime returns the cgroup of a process, and the total time for which it was frozen, itself or
// by a group above it (cgroup.stat.local of cgroup v2, since Linux 6.18). Where that is not known,
// the cgroup is empty.
func (e *Executor) frozenTime(process host.Directory) (cgroup string, frozen time.Duration) {
	membership, err := process.Read("cgroup", nil)
	if err != nil {
		return "", 0
	}
	for _, f := range e.freezers {
		group, ok := f.groupOf(membership)
		if !ok || !f.version2 {
			continue
		}
		cgroup = path.Join(f.mount, group)
		stat, err := os.ReadFile(path.Join(cgroup, "cgroup.stat.local"))
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(stat)) {
			value, found := strings.CutPrefix(line, "frozen_usec ")
			if usec, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64); found && err == nil {
				return cgroup, time.Duration(usec) * time.Microsecond
			}
		}
	}
	return "", 0
}

// groupOf returns the path below the mount of the group of a process, whose /proc/PID/cgroup is
// given. It returns false if the group is not below the mount.
func (f freezer) groupOf(membership []byte) (string, bool) {
	for line := range strings.Lines(string(membership)) {
		fields := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3) // number:controllers:path
		if len(fields) < 3 || !f.isHierarchy(fields[0], fields[1]) {
			continue
		}
		below, ok := strings.CutPrefix(fields[2], strings.TrimSuffix(f.root, "/"))
		// "/../x" is outside of the cgroup namespace of this process.
		outside := slices.Contains(strings.Split(below, "/"), "..")
		return below, ok && !outside && (below == "" || below[0] == '/')
	}
	return "", false
}

// isHierarchy reports whether a line of /proc/PID/cgroup is about the hierarchy of the freezer.
func (f freezer) isHierarchy(number, controllers string) bool {
	if f.version2 {
		return number == "0"
	}
	return slices.Contains(strings.Split(controllers, ","), "freezer")
}

// readState reports whether a group is frozen, itself or by a group above it, and whether that is
// known. The root group has no state file and cannot be frozen.
func (f freezer) readState(group string) (frozen, known bool) {
	name, thawed := "freezer.state", "THAWED"
	if f.version2 {
		name, thawed = "cgroup.events", "frozen 0"
	}
	state, err := os.ReadFile(path.Join(f.mount, group, name))
	if err != nil {
		return false, path.Clean("/"+group) == "/"
	}
	return !bytes.Contains(state, []byte(thawed)), true
}

// sleepsInFreezer reports whether the main thread sleeps in a kernel function in which frozen
// threads sleep (kernel/signal.c; the name depends on what the compiler has inlined). Stopped
// threads sleep in other functions.
func sleepsInFreezer(process host.Directory) bool {
	where, err := process.Read("wchan", nil)
	return err == nil && slices.Contains([]string{"get_signal", "do_freezer_trap", "__refrigerator"}, string(where))
}
