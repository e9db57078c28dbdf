package inspect

import (
	"fmt"
	"strconv"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel/host"
	"closewait_exporter/kernel/procfs"
)

// Find returns the process that has a pid. It fails, and says how to go on, where there is no
// process that could hold sockets.
func Find(h *host.Host, pid int) (closewait.ProcessID, error) {
	id, err := find(h, pid)
	if host.Vanished(err) {
		hint := "give one that " + h.Path + " shows"
		if !h.SeesAllProcesses {
			hint += ", and it does not show all processes of the host here"
		}
		return id, fmt.Errorf("no process has the pid %d (%w): %s", pid, closewait.ErrGone, hint)
	}
	return id, err
}

func find(h *host.Host, pid int) (closewait.ProcessID, error) {
	const kernelThread = 0x00200000 // PF_KTHREAD, include/linux/sched.h
	id := closewait.ProcessID{PID: pid}
	dir, err := h.Proc.OpenPID(pid)
	if err != nil {
		return id, err
	}
	defer dir.Close()
	st, _, err := dir.ReadStat(nil)
	if err != nil {
		return id, fmt.Errorf("stat of process %d: %w", pid, err)
	}
	status, err := dir.Read("status", nil)
	if err != nil {
		return id, fmt.Errorf("status of process %d: %w", pid, err)
	}
	if group, err := strconv.Atoi(procfs.StatusField(status, "Tgid")); err == nil && group != pid {
		return id, fmt.Errorf("%d is a thread of process %d: give the pid of the process", pid, group)
	}
	switch {
	case st.Flags&kernelThread != 0:
		return id, fmt.Errorf("process %d (%s) is a kernel thread: it has no descriptors", pid, st.Comm)
	case host.LeaderEnded(st.State) && st.Threads <= 1:
		return id, fmt.Errorf("process %d (%s) is a zombie: it has ended, holds nothing, and stays until its parent %d collects its exit status", pid, st.Comm, st.Parent)
	}
	id.Start = st.Start
	return id, nil
}
