package kernel

import (
	"context"
	"fmt"
	"os"
	"time"

	"closewait_exporter/kernel/host"

	"golang.org/x/sys/unix"
)

// Exited tells whether the process has ended with all its threads. Its parent may still have to
// collect it: a zombie accepts signals, so that a signal that was sent says nothing.
func (g *Grip) Exited() (bool, error) {
	exited := false
	err := g.control(func(fd int) error {
		exited = readable(fd)
		return nil
	})
	return exited, err
}

// Wait returns nil when the process has ended, or the cause of ctx when that ends first.
func (g *Grip) Wait(ctx context.Context) error {
	var own *os.File // a file has one read deadline, which is how waiting for it is given up
	err := g.control(func(fd int) error {
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

// awaitExit waits for a non-blocking pidfd, which is readable once the process has ended. It takes no
// thread. Nobody else may wait for the same file.
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
		_ = pidfd.SetReadDeadline(time.Unix(0, 0)) // what it could fail for, it has failed for above
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

func readable(fd int) bool {
	ready := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	n, err := host.RetryEINTR(func() (int, error) { return unix.Poll(ready, 0) })
	return err == nil && n == 1 && ready[0].Revents&unix.POLLIN != 0
}
