package host

import (
	"fmt"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Directory is an open directory below /proc. The directory of a process stays bound to it: after
// the process has ended every use fails with ENOENT or ESRCH, even if another process has its pid.
type Directory int

// OpenDirectory opens a directory by its path, absolute or relative to another one.
func OpenDirectory(at Directory, path string) (Directory, error) {
	fd, err := unix.Openat(int(at), path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open directory %s: %w", path, err)
	}
	return Directory(fd), nil
}

// OpenPID opens the directory of whichever process has the pid. The descriptor serves as a handle
// only (O_PATH): entries of the directory cannot be listed through it.
func (d Directory) OpenPID(pid int) (Directory, error) {
	fd, err := unix.Openat(int(d), strconv.Itoa(pid), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open process %d: %w", pid, err)
	}
	return Directory(fd), nil
}

// Close closes the directory.
func (d Directory) Close() {
	_ = unix.Close(int(d)) // nothing was written, so nothing can be lost
}

// Read reads a whole file into buf, which it grows if needed.
func (d Directory) Read(name string, buf []byte) ([]byte, error) {
	fd, err := unix.Openat(int(d), name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return buf[:0], fmt.Errorf("open %s: %w", name, err)
	}
	defer unix.Close(fd)
	buf = buf[:0]
	for {
		if len(buf) == cap(buf) {
			buf = append(buf, make([]byte, max(4096, cap(buf)))...)[:len(buf)]
		}
		n, err := RetryEINTR(func() (int, error) { return unix.Read(fd, buf[len(buf):cap(buf)]) })
		if err != nil {
			return buf[:0], fmt.Errorf("read %s: %w", name, err)
		}
		if n == 0 {
			return buf, nil
		}
		buf = buf[:len(buf)+n]
	}
}

// Readlink reads a symbolic link into buf. A target that does not fit is cut.
func (d Directory) Readlink(name string, buf []byte) ([]byte, error) {
	n, err := unix.Readlinkat(int(d), name, buf)
	if err != nil {
		return nil, fmt.Errorf("readlink %s: %w", name, err)
	}
	return buf[:n], nil
}

// Link reads the link of an entry. The byte behind the name must be NUL, as it is behind the names
// that Each passes. A walk calls Link for each descriptor and spends most of its time here, so it
// allocates nothing, returns a bare errno, and bypasses the Go scheduler: these links cannot hang.
func (d Directory) Link(entry, buf []byte) ([]byte, error) {
	n, _, errno := unix.RawSyscall6(unix.SYS_READLINKAT, uintptr(d), uintptr(unsafe.Pointer(&entry[0])),
		uintptr(unsafe.Pointer(&buf[0])), uintptr(len(buf)), 0, 0)
	if errno != 0 {
		return nil, errno
	}
	return buf[:n], nil
}

// Stat calls stat(2) for an entry. It follows links.
func (d Directory) Stat(name string) (unix.Stat_t, error) {
	var st unix.Stat_t
	if err := unix.Fstatat(int(d), name, &st, 0); err != nil {
		return st, fmt.Errorf("stat %s: %w", name, err)
	}
	return st, nil
}

// UnlessEnded corrects the error of an operation on a process or thread, whose directory is given:
// it returns ENOENT or ESRCH instead of a denial if the process has ended. The kernel reports
// EACCES for some links of ended processes (proc_pid_readlink, proc_ns_readlink in fs/proc).
func (d Directory) UnlessEnded(process string, err error) error {
	if !Denied(err) {
		return err
	}
	if _, gone := d.Stat(process + "/stat"); Vanished(gone) {
		return gone
	}
	return err
}
