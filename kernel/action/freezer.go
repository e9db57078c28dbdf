package action

import (
	"bytes"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"closewait_exporter/kernel/host"
)

// findFreezers finds the mounted cgroup hierarchies that can freeze processes.
func findFreezers() (found []freezer) {
	for _, h := range host.FindHierarchies("freezer") {
		found = append(found, freezer{h})
	}
	return found
}

// freezer is a mounted cgroup hierarchy that can freeze processes.
type freezer struct{ host.Hierarchy }

// isFrozen reports whether a process is in a frozen cgroup. If its cgroup cannot be read, as from
// inside a container, it checks in which kernel function the main thread sleeps.
func (e *Executor) isFrozen(process host.Directory) bool {
	membership, err := process.Read("cgroup", nil)
	if err != nil {
		return false
	}
	known := false
	for _, f := range e.freezers {
		group, ok := f.GroupOf(membership)
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
		group, ok := f.GroupOf(membership)
		if !ok || !f.Version2 {
			continue
		}
		cgroup = path.Join(f.Mount, group)
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

// readState reports whether a group is frozen, itself or by a group above it, and whether that is
// known. The root group has no state file and cannot be frozen.
func (f freezer) readState(group string) (frozen, known bool) {
	name, thawed := "freezer.state", "THAWED"
	if f.Version2 {
		name, thawed = "cgroup.events", "frozen 0"
	}
	state, err := os.ReadFile(path.Join(f.Mount, group, name))
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
