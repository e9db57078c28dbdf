package action

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"closewait_exporter/kernel/procfs"
)

// findLockHolder returns a process that has locked the lock file: this mount of it, which busy says
// is locked by another open file, or the same file in another mount of /proc. It returns 0 if there
// is none, or if the process cannot be seen. It streams /proc/locks, because any user can hold any
// number of locks.
func (e *Executor) findLockHolder(file *os.File, busy bool) (pid int, err error) {
	var st unix.Stat_t
	if err := withFD(file, func(fd int) error { return unix.Fstat(fd, &st) }); err != nil {
		return 0, err
	}
	fd, err := unix.Openat(int(e.host.Proc), "locks", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("open locks: %w", err)
	}
	locks := os.NewFile(uintptr(fd), "locks")
	defer locks.Close()
	checked := map[heldLock]bool{}
	lines := bufio.NewScanner(locks)
	for lines.Scan() {
		l, ok := parseLock(lines.Text())
		if !ok || l.inode != st.Ino || l.pid <= 0 || checked[l] {
			continue
		}
		checked[l] = true
		if here := l.device == deviceOf(&st); here && busy || !here && e.isReaperLock(&l) {
			return l.pid, nil
		}
	}
	return 0, lines.Err()
}

// heldLock is a flock(2) lock in /proc/locks.
type heldLock struct {
	pid    int
	device string // major and minor number of the file system, as in /proc/locks
	inode  uint64
}

// parseLock parses a line such as "1: FLOCK  ADVISORY  WRITE 11031 00:15:4026531929 0 EOF". It
// returns false for other kinds of locks, and for processes that wait for a lock.
func parseLock(line string) (l heldLock, ok bool) {
	const kind, pid, file, number = 1, 4, 5, 6
	fields := strings.Fields(line)
	if len(fields) < number || fields[kind] != "FLOCK" {
		return l, false
	}
	at := strings.LastIndexByte(fields[file], ':')
	if at < 0 {
		return l, false
	}
	var errPID, errInode error
	l.device = fields[file][:at]
	l.pid, errPID = strconv.Atoi(fields[pid])
	l.inode, errInode = strconv.ParseUint(fields[file][at+1:], 10, 64)
	return l, errPID == nil && errInode == nil
}

// deviceOf formats the device of a file as /proc/locks does.
func deviceOf(st *unix.Stat_t) string {
	return fmt.Sprintf("%02x:%02x", unix.Major(st.Dev), unix.Minor(st.Dev))
}

// isReaperLock reports whether a lock on a file with the inode number of the lock file is on that
// file in another mount of /proc, and held by a process of this pid namespace that could be a
// reaper. Any user can make a file with that inode number in a file system of their own (FUSE), and
// root in a container can lock the file of its own pid namespace. A holder that cannot be read does
// not count: a reaper that may act can read every process.
func (e *Executor) isReaperLock(l *heldLock) bool {
	dir, err := e.host.Proc.OpenPID(l.pid)
	if err != nil {
		return false
	}
	defer dir.Close()
	status, err := dir.Read("status", nil)
	if err != nil || hasNestedPID(status) || !mayFindHolders(status) {
		return false
	}
	users, err := dir.Stat("ns/user")
	own, errOwn := e.host.Proc.Stat("self/ns/user")
	if err != nil || errOwn != nil || users.Ino != own.Ino {
		return false
	}
	mounts, err := dir.Read("mountinfo", nil)
	return err == nil && hasProcMount(mounts, l.device)
}

// mayFindHolders reports whether a process has the capabilities without which no rule acts, from
// its status file.
func mayFindHolders(status []byte) bool {
	const needed = 1<<unix.CAP_DAC_READ_SEARCH | 1<<unix.CAP_SYS_PTRACE
	effective, err := strconv.ParseUint(procfs.StatusField(status, "CapEff"), 16, 64)
	return err == nil && effective&needed == needed
}

// hasProcMount reports whether mountinfo (proc_pid_mountinfo(5)) has a proc file system with that
// device, in the format of /proc/locks. Paths cannot contain spaces there.
func hasProcMount(mountinfo []byte, device string) bool {
	const number, optional = 2, 6
	for line := range bytes.Lines(mountinfo) {
		fields := strings.Fields(string(line))
		if len(fields) < optional {
			continue
		}
		var major, minor uint32
		if _, err := fmt.Sscanf(fields[number], "%d:%d", &major, &minor); err != nil || fmt.Sprintf("%02x:%02x", major, minor) != device {
			continue
		}
		if end := slices.Index(fields[optional:], "-"); end >= 0 && optional+end+1 < len(fields) && fields[optional+end+1] == "proc" {
			return true
		}
	}
	return false
}
