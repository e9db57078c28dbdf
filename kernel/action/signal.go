package action

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Signal sends a signal, such as "TERM". A signal that was sent need not have an effect yet: a
// stopped process keeps it pending, and so does a process in uninterruptible sleep, even KILL. The
// first process of a container ignores all signals but KILL and STOP that it has no handler for.
// Wait waits for the end of the process.
func (h *ProcessHandle) Signal(name string) error {
	number := unix.SignalNum("SIG" + name)
	if number == 0 {
		return fmt.Errorf("unknown signal %q: give a name as in kill -l, such as TERM", name)
	}
	if err := h.requireAlive(); err != nil {
		return fmt.Errorf("send SIG%s to process %d: %w", name, h.id.PID, err)
	}
	err := h.WithPidfd(func(fd int) error { return unix.PidfdSendSignal(fd, number, nil, 0) })
	if err != nil {
		return fmt.Errorf("send SIG%s to process %d: %w", name, h.id.PID, pidfdError(err))
	}
	return nil
}
