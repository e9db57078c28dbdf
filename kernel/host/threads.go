package host

import (
	"cmp"
	"context"
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

// OtherTables finds the descriptor tables of a process that are not the table of its leader: a
// thread can unshare its table (CLONE_FILES), and a leader that has ended before other threads has
// none. It returns one thread for each table. threads is the task directory of the process.
func (h *Host) OtherTables(ctx context.Context, threads Directory, pid int, entries []byte) (tids []int, err error) {
	all, err := threads.Numbers(entries)
	if err != nil {
		return nil, err
	}
	tables := []int{pid}
	for _, tid := range all {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if tid != pid && !h.sharesTable(threads, tid, tables) {
			tables = append(tables, tid)
		}
	}
	return tables[1:], nil
}

// sharesTable reports whether a thread has the same descriptor table as one of the others, by
// kcmp(2). Where kcmp is not permitted, tables of the same size count as the same.
func (h *Host) sharesTable(threads Directory, tid int, others []int) bool {
	const kcmpFiles = 2 // include/uapi/linux/kcmp.h
	for _, other := range others {
		if h.PIDsAreOurs {
			order, _, errno := unix.Syscall6(unix.SYS_KCMP, uintptr(tid), uintptr(other), kcmpFiles, 0, 0, 0)
			if errno == 0 && order == 0 {
				return true
			}
			if errno == 0 || errno == unix.ESRCH { // one of the two has ended, perhaps not this one
				continue
			}
		}
		a, errA := threads.Stat(strconv.Itoa(tid) + "/fd")
		b, errB := threads.Stat(strconv.Itoa(other) + "/fd")
		if errA != nil || errB != nil || a.Size == b.Size {
			return true
		}
	}
	return false
}
