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

// OpenProcess opens the directory of a process. It fails with ENOENT or ESRCH if the process has
// ended, also if another process has its pid now. The start time is read through the open
// directory, so that both belong to the same process. Start times count in ticks of 10 ms: two
// processes that had the same pid within one tick cannot be distinguished.
func (h *Host) OpenProcess(id closewait.ProcessID) (Directory, error) {
	var buf [statSize]byte
	dir, _, _, err := h.OpenProcessStat(id, buf[:])
	return dir, err
}

// OpenProcessStat opens a process as OpenProcess does, and returns the stat that it has read. The
// Comm of the stat is a part of data, which is buf or a larger buffer that has replaced it.
func (h *Host) OpenProcessStat(id closewait.ProcessID, buf []byte) (dir Directory, st Stat, data []byte, err error) {
	if dir, err = h.Proc.OpenPID(id.PID); err != nil {
		return -1, st, buf, err
	}
	st, data, err = dir.ReadStat(buf)
	switch {
	case err != nil:
		err = fmt.Errorf("stat of process %d: %w", id.PID, err)
	case st.Start != id.Start:
		err = fmt.Errorf("pid %d belongs to another process now: %w", id.PID, unix.ESRCH)
	}
	if err != nil {
		dir.Close()
		return -1, st, data, err
	}
	return dir, st, data, nil
}

// Lives reports whether a process can still hold descriptors. A zombie counts as ended, and so does
// a process that cannot be read.
func (h *Host) Lives(id closewait.ProcessID) bool {
	var buf [statSize]byte
	dir, st, _, err := h.OpenProcessStat(id, buf[:])
	if err != nil {
		return false
	}
	dir.Close()
	return !LeaderEnded(st.State) || st.Threads > 1
}

// ReadStat reads and parses the stat of the process or thread whose directory this is. The Comm of
// the stat is a part of data, which is buf or a larger buffer that has replaced it.
func (d Directory) ReadStat(buf []byte) (st Stat, data []byte, err error) {
	if data, err = d.Read("stat", buf); err != nil {
		return Stat{}, data, err
	}
	st, err = ParseStat(data)
	return st, data, err
}

// LeaderEnded reports, by the state of a process, whether its main thread has ended. The process
// continues for as long as it has other threads.
func LeaderEnded(state byte) bool { return state == 'Z' || state == 'X' }
