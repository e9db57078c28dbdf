package kernel

import (
	"cmp"
	"strconv"

	"golang.org/x/sys/unix"
)

// hasOtherThreads tells whether a process has more threads than its leader.
func hasOtherThreads(process directory) (bool, error) {
	task, err := process.stat("task")
	return task.Nlink > 3, err // ".", ".." and the leader
}

// standIn returns a thread of a process whose leader has ended: descriptors, network namespace and
// executable are to be found below the other threads only. It is the one with most descriptors.
func (s *Scanner) standIn(process directory, pid int) (tid int, err error) {
	if others, err := hasOtherThreads(process); err != nil || !others {
		return 0, cmp.Or(err, error(unix.ESRCH))
	}
	threads, err := openDirectory(process, "task")
	if err != nil {
		return 0, err
	}
	defer threads.close()
	tids, err := threads.numbers(s.entries)
	if err != nil {
		return 0, err
	}
	most := int64(-1)
	for _, candidate := range tids {
		fds, err := threads.stat(strconv.Itoa(candidate) + "/fd")
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
func (s *Scanner) openStandIn(process directory, pid int) (directory, error) {
	tid, err := s.standIn(process, pid)
	if err != nil {
		return -1, err
	}
	return openDirectory(process, "task/"+strconv.Itoa(tid))
}
