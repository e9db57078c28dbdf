package action

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"closewait_exporter/kernel/host"
)

// openPidfd opens a non-blocking pidfd, which the Go runtime can wait for without a thread.
func openPidfd(pid int) (*os.File, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil, fmt.Errorf("open pidfd of process %d: %w", pid, pidfdError(err))
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("open pidfd of process %d: %w", pid, err)
	}
	return os.NewFile(uintptr(fd), "pidfd"), nil
}

// probePidfd returns nil if pidfds can be used. It sends signal 0, which has no effect.
func probePidfd() error {
	fd, err := unix.PidfdOpen(os.Getpid(), 0)
	if err == nil {
		err = unix.PidfdSendSignal(fd, 0, nil, 0)
		unix.Close(fd)
	}
	if err != nil {
		return fmt.Errorf("use a pidfd: %w", pidfdError(err))
	}
	return nil
}

// pidfdError adds to an error of a system call on pidfds how to fix its cause.
func pidfdError(err error) error {
	switch {
	case errors.Is(err, unix.ENOSYS):
		return fmt.Errorf("%w: it needs Linux 5.3 or newer, and a seccomp filter that knows it", err)
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("%w: signals to other users' processes need CAP_KILL, and a seccomp filter must permit pidfds", err)
	}
	return host.GoneIfVanished(err)
}
