package action

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// ErrLocked reports that another process has the host lock.
var ErrLocked = errors.New("another reaper acts on this host")

// lockFile is the file in /proc that is locked. Only root and holders of CAP_DAC_READ_SEARCH in the
// user namespace of the host can open it, so no other user can lock it. Every mount of /proc has
// this file, with the same inode number. docs/decisions/host-lock.md compares it with others.
const lockFile = "vmallocinfo"

// HostLock is the right to act on the processes of a host. One process at a time can have it.
type HostLock struct{ file *os.File }

// Lock acquires the host lock or fails with ErrLocked. The kernel releases the lock when the
// process ends, however it ends.
//
// The lock is a flock(2) on a file of /proc. A container that acts on the same processes has a
// mount of /proc of its own, and so another inode: after this process has locked its file, it
// searches the locks of the kernel for the same file in other mounts. Of two processes that do this
// at the same moment at least one sees the other, and gives up.
func (e *Executor) Lock() (*HostLock, error) {
	file, err := e.openLockFile()
	if err != nil {
		return nil, fmt.Errorf("acquire the host lock: %w", err)
	}
	err = withFD(file, func(fd int) error { return unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) })
	busy := errors.Is(err, unix.EWOULDBLOCK)
	if err != nil && !busy {
		file.Close()
		return nil, fmt.Errorf("acquire the host lock: %w", err)
	}
	holder, err := e.findLockHolder(file, busy)
	switch {
	case err != nil:
		err = fmt.Errorf("acquire the host lock: %w", err)
	case busy || holder != 0:
		err = fmt.Errorf("%w: %s holds the lock on %s: stop it, or leave out --reaper.enforce here", ErrLocked, e.describeHolder(holder), file.Name())
	default:
		return &HostLock{file}, nil
	}
	file.Close()
	return nil, err
}

// Release releases the lock.
func (l *HostLock) Release() { l.file.Close() }

// openLockFile opens the lock file, and refuses another file mounted over it, which other users
// could lock too.
func (e *Executor) openLockFile() (*os.File, error) {
	path := e.host.Path + "/" + lockFile
	fd, err := unix.Openat(int(e.host.Proc), lockFile, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w: enforcement needs root or CAP_DAC_READ_SEARCH, not in a user namespace, and a /proc without subset=pid", path, err)
	}
	file := os.NewFile(uintptr(fd), path)
	var st unix.Stat_t
	var fs unix.Statfs_t
	if err := errors.Join(unix.Fstat(fd, &st), unix.Fstatfs(fd, &fs)); err != nil {
		file.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	const accessByOthers = 0o077
	if fs.Type != unix.PROC_SUPER_MAGIC || st.Uid != 0 || st.Mode&accessByOthers != 0 {
		file.Close()
		return nil, fmt.Errorf("%s can be opened by other users than root, so they could hold the lock: is another file mounted over it?", path)
	}
	return file, nil
}

// describeHolder names the process that has the lock; 0 stands for a process that cannot be seen.
func (e *Executor) describeHolder(pid int) string {
	if pid == 0 {
		return "a process of another pid namespace"
	}
	text := "process " + strconv.Itoa(pid)
	if dir, err := e.host.Proc.OpenPID(pid); err == nil {
		defer dir.Close()
		if st, _, err := dir.ReadStat(nil); err == nil {
			text += fmt.Sprintf(" (%s)", st.Comm)
		}
	}
	return text
}
