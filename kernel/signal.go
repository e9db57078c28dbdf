package kernel

import (
	"errors"
	"fmt"
	"os"

	"closewait_exporter/kernel/host"

	"golang.org/x/sys/unix"
)

// Signal sends a signal, such as "TERM". That it was sent does not say that it has an effect: a
// stopped process keeps it pending, one in uninterruptible sleep even KILL, and pid 1 of a
// container ignores what it has no handler for, but KILL. Wait tells.
func (g *Grip) Signal(name string) error {
	number := unix.SignalNum("SIG" + name)
	if number == 0 {
		return fmt.Errorf("unknown signal %q: give a name as in kill -l, such as TERM", name)
	}
	if err := g.alive(); err != nil {
		return fmt.Errorf("send SIG%s to process %d: %w", name, g.id.PID, err)
	}
	err := g.control(func(fd int) error { return unix.PidfdSendSignal(fd, number, nil, 0) })
	if err != nil {
		return fmt.Errorf("send SIG%s to process %d: %w", name, g.id.PID, pidfdError(err))
	}
	return nil
}

// pidfdError says what an error of a system call on pidfds means.
func pidfdError(err error) error {
	switch {
	case errors.Is(err, unix.ENOSYS):
		return fmt.Errorf("%w: it needs Linux 5.3 or newer, and a seccomp filter that knows it", err)
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("%w: signals to other users' processes need CAP_KILL, and a seccomp filter must permit pidfds", err)
	}
	return host.GoneIfVanished(err)
}

// probePidfd tells why processes cannot be held on to here. It sends no signal: 0 is none.
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
