package action

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrLocked reports that another process has the host lock.
var ErrLocked = errors.New("another reaper acts on this host")

// HostLock is the right to act on the processes of a host. One process at a time can have it.
type HostLock struct{ namespace *os.File }

// Lock acquires the host lock or fails with ErrLocked. It locks the file of the pid namespace
// (flock(2)), which is the same in containers that act on the same processes but have other file
// systems. The kernel releases the lock when the process ends, however it ends.
func (e *Executor) Lock() (*HostLock, error) {
	namespace, err := os.Open("/proc/self/ns/pid")
	if err != nil {
		return nil, fmt.Errorf("acquire the host lock: %w", err)
	}
	err = withFD(namespace, func(fd int) error { return unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) })
	if err != nil {
		namespace.Close()
	}
	switch {
	case errors.Is(err, unix.EWOULDBLOCK):
		return nil, fmt.Errorf("%w: %s holds the lock on %s: stop it, or leave out --reaper.enforce here", ErrLocked, e.lockHolder(), namespace.Name())
	case err != nil:
		return nil, fmt.Errorf("acquire the host lock: %w", err)
	}
	return &HostLock{namespace}, nil
}

// Release releases the lock.
func (l *HostLock) Release() { l.namespace.Close() }

// lockHolder finds in /proc/locks which process has the lock. A line of it is
// "1: FLOCK  ADVISORY  WRITE 11031 00:04:4026531836 0 EOF".
func (e *Executor) lockHolder() string {
	const kind, pid, file = 1, 4, 5
	var st unix.Stat_t
	locks, err := e.host.Proc.Read("locks", nil)
	if err != nil || unix.Stat("/proc/self/ns/pid", &st) != nil {
		return "a process"
	}
	for line := range strings.Lines(string(locks)) {
		fields := strings.Fields(line)
		if len(fields) > file && fields[kind] == "FLOCK" && strings.HasSuffix(fields[file], fmt.Sprintf(":%d", st.Ino)) {
			return "process " + fields[pid]
		}
	}
	return "a process"
}
