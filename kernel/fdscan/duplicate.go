package fdscan

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// WithDuplicate calls f with a duplicate of the descriptor, which it gets from an open process
// (pidfd_getfd(2)). ownThread is asked about the thread of the handle, if it has one: it fails
// unless the thread belongs to that process. f must identify the file, because the number can
// belong to another one by now. The duplicate is closed right after f: while it is open, a close(2)
// by the program sends no FIN.
func (h Handle) WithDuplicate(pidfd int, ownThread func(tid int) error, f func(fd int) error) error {
	if h.Thread != 0 {
		thread, err := unix.PidfdOpen(int(h.Thread), unix.PIDFD_THREAD) // since Linux 6.9
		if err != nil {
			return fmt.Errorf("open pidfd of thread %d: %w", h.Thread, err)
		}
		defer unix.Close(thread)
		if err := ownThread(int(h.Thread)); err != nil {
			return err
		}
		pidfd = thread
	}
	fd, err := unix.PidfdGetfd(pidfd, int(h.Number), 0)
	if err != nil {
		return GetfdError(err)
	}
	defer unix.Close(fd)
	return f(fd)
}

// GetfdError adds to an error of pidfd_getfd(2) how to fix its cause.
func GetfdError(err error) error {
	switch {
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("%w: pidfd_getfd needs CAP_SYS_PTRACE, and kernel.yama.ptrace_scope below 3", err)
	case errors.Is(err, unix.ENOSYS):
		return fmt.Errorf("%w: pidfd_getfd needs Linux 5.6", err)
	}
	return err
}
