package host

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"closewait_exporter/closewait"
)

// ClockTick is the unit of the start time in /proc/PID/stat: USER_HZ is 100 on every architecture
// that Go runs on (proc_pid_stat(5), sysconf(_SC_CLK_TCK)).
const ClockTick = 10 * time.Millisecond

// statSize is the size of a buffer that nearly every /proc/PID/stat fits into.
const statSize = 1024

// OpenProcess opens the directory of this very process. It fails with ESRCH if another process has
// its pid by now. The start time is read through the open directory, so that both belong to the
// same process. Start times count in ticks of 10 ms: a process that got the pid of one that started
// and ended in the same tick is not told apart.
func (h *Host) OpenProcess(id closewait.ProcessID) (Directory, error) {
	var buf [statSize]byte
	dir, _, _, err := h.OpenProcessStat(id, buf[:])
	return dir, err
}

// OpenProcessStat is OpenProcess that also returns the stat it has read. The name in it is a part
// of data, which is buf or a larger buffer that has taken its place.
func (h *Host) OpenProcessStat(id closewait.ProcessID, buf []byte) (dir Directory, st Stat, data []byte, err error) {
	if dir, err = h.Proc.OpenPID(id.PID); err != nil {
		return -1, st, buf, err
	}
	st, data, err = dir.ReadStat(buf)
	switch {
	case err != nil:
		err = fmt.Errorf("stat of process %d: %w", id.PID, err)
	case st.Start != id.Start:
		err = fmt.Errorf("process %d is another one now: %w", id.PID, unix.ESRCH)
	}
	if err != nil {
		dir.Close()
		return -1, st, data, err
	}
	return dir, st, data, nil
}

// Lives reports whether the process is still there and can hold descriptors. A process that cannot
// be read counts as ended, and so does a zombie that its parent has not collected yet.
func (h *Host) Lives(id closewait.ProcessID) bool {
	var buf [statSize]byte
	dir, st, _, err := h.OpenProcessStat(id, buf[:])
	if err != nil {
		return false
	}
	dir.Close()
	return !LeaderEnded(st.State) || st.Threads > 1
}

// ReadStat reads and parses the stat of the process or thread whose directory this is. The name in
// it is a part of data, which is buf or a larger buffer that has taken its place.
func (d Directory) ReadStat(buf []byte) (st Stat, data []byte, err error) {
	if data, err = d.Read("stat", buf); err != nil {
		return Stat{}, data, err
	}
	st, err = ParseStat(data)
	return st, data, err
}

// LeaderEnded reports, by the state of a process, whether its main thread has ended. The process
// goes on for as long as it has other threads.
func LeaderEnded(state byte) bool { return state == 'Z' || state == 'X' }
