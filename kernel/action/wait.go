package action

import (
	"context"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"closewait_exporter/kernel/host"
)

// Exited reports whether the process has ended with all its threads. It can still be a zombie,
// which accepts signals: a signal sent without an error does not prove that the process lives.
func (h *ProcessHandle) Exited() (bool, error) {
	exited := false
	err := h.WithPidfd(func(fd int) error {
		exited = readable(fd)
		return nil
	})
	return exited, err
}

// Wait returns nil when the process has ended, or the cause of ctx when that ends first.
func (h *ProcessHandle) Wait(ctx context.Context) error {
	var own *os.File // a duplicate, because a file has only one read deadline, which ends a Wait early
	err := h.WithPidfd(func(fd int) error {
		duplicate, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		own = os.NewFile(uintptr(duplicate), "pidfd")
		return err
	})
	if err != nil {
		return fmt.Errorf("wait for process: %w", err)
	}
	defer own.Close()
	return awaitExit(ctx, own)
}

// awaitExit waits for a non-blocking pidfd, which is readable once the process has ended. It
// occupies no thread. There must be no other wait for the same file.
func awaitExit(ctx context.Context, pidfd *os.File) error {
	raw, err := pidfd.SyscallConn()
	if err != nil {
		return fmt.Errorf("wait for process: %w", err)
	}
	if err := pidfd.SetReadDeadline(time.Time{}); err != nil {
		return fmt.Errorf("wait for process: %w", err)
	}
	interrupted := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(interrupted)
		_ = pidfd.SetReadDeadline(time.Unix(0, 0)) // cannot fail, as it has succeeded above
	})
	defer func() {
		if !stop() {
			<-interrupted
		}
	}()
	err = raw.Read(func(fd uintptr) bool { return readable(int(fd)) })
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	return fmt.Errorf("wait for process: %w", err)
}

// readable reports whether poll(2) shows a descriptor as readable, without waiting.
func readable(fd int) bool {
	ready := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	n, err := host.RetryEINTR(func() (int, error) { return unix.Poll(ready, 0) })
	return err == nil && n == 1 && ready[0].Revents&unix.POLLIN != 0
}
