package host

import (
	"cmp"
	"strconv"

	"golang.org/x/sys/unix"
)

// HasOtherThreads reports whether a process has more threads than its leader.
func HasOtherThreads(process Directory) (bool, error) {
	task, err := process.Stat("task")
	return task.Nlink > 3, err // ".", ".." and the leader
}

// standIn returns the id of the thread for OpenStandIn. Of several threads it chooses the one with
// the most descriptors.
func standIn(process Directory, pid int) (tid int, err error) {
	if others, err := HasOtherThreads(process); err != nil || !others {
		return 0, cmp.Or(err, error(unix.ESRCH))
	}
	threads, err := OpenDirectory(process, "task")
	if err != nil {
		return 0, err
	}
	defer threads.Close()
	tids, err := threads.Numbers(make([]byte, EntriesSize))
	if err != nil {
		return 0, err
	}
	most := int64(-1)
	for _, candidate := range tids {
		fds, err := threads.Stat(strconv.Itoa(candidate) + "/fd")
		if candidate != pid && err == nil && fds.Size > most {
			tid, most = candidate, fds.Size
		}
	}
	if tid == 0 {
		return 0, unix.ESRCH
	}
	return tid, nil
}

// OpenStandIn opens the directory of a thread of a process whose leader has ended: its descriptors,
// network namespace and executable are only visible there. It fails with ESRCH if no thread is
// left.
func OpenStandIn(process Directory, pid int) (Directory, error) {
	tid, err := standIn(process, pid)
	if err != nil {
		return -1, err
	}
	return OpenDirectory(process, "task/"+strconv.Itoa(tid))
}
