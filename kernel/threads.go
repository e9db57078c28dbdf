package kernel

import (
	"cmp"
	"strconv"

	"golang.org/x/sys/unix"
)

// hasOtherThreads tells whether a process has more threads than its leader.
func hasOtherThreads(process Directory) (bool, error) {
	task, err := process.Stat("task")
	return task.Nlink > 3, err // ".", ".." and the leader
}

// standIn returns a thread of a process whose leader has ended: descriptors, network namespace and
// executable are to be found below the other threads only. It is the one with most descriptors.
func (s *Scanner) standIn(process Directory, pid int) (tid int, err error) {
	if others, err := hasOtherThreads(process); err != nil || !others {
		return 0, cmp.Or(err, error(unix.ESRCH))
	}
	threads, err := OpenDirectory(process, "task")
	if err != nil {
		return 0, err
	}
	defer threads.Close()
	tids, err := threads.Numbers(s.entries)
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

// openStandIn opens the directory of that thread.
func (s *Scanner) openStandIn(process Directory, pid int) (Directory, error) {
	tid, err := s.standIn(process, pid)
	if err != nil {
		return -1, err
	}
	return OpenDirectory(process, "task/"+strconv.Itoa(tid))
}
