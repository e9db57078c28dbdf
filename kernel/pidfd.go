package kernel

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"closewait_exporter/closewait"
)

// ErrGone says that a process has ended, or that its pid means another one by now. It is no failure:
// there is nothing left to act on.
var ErrGone = errors.New("process has ended")

// Grip holds on to one process: whatever is done through it is done to that process or not at all,
// even when another one has got its pid. It is safe for concurrent use.
type Grip struct {
	hands *Hands
	id    closewait.ProcessID
	pidfd *os.File
	dir   *os.File // /proc/PID, which stays bound to the process too
}

// Grab takes hold of a process. It fails with ErrGone when the process has ended, is a zombie, or is
// another one than id says.
//
// The start time is checked after the pidfd was opened, so that no other process can slip in
// between. It counts in ticks of 10 ms: a process that has got the pid of one which started
// and ended in the very same tick is not told apart. Verify does that, for its sockets are others.
func (h *Hands) Grab(id closewait.ProcessID) (*Grip, error) {
	fd, err := unix.PidfdOpen(id.PID, 0)
	if err != nil {
		return nil, fmt.Errorf("open pidfd of process %d: %w", id.PID, pidfdError(err))
	}
	// Non-blocking, so that the runtime waits for it as it does for sockets.
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("open pidfd of process %d: %w", id.PID, err)
	}
	g := &Grip{hands: h, id: id, pidfd: os.NewFile(uintptr(fd), "pidfd")}
	if err := g.verifyProcess(); err != nil {
		g.Close()
		return nil, fmt.Errorf("process %d: %w", id.PID, err)
	}
	return g, nil
}

// ID is the process that is held.
func (g *Grip) ID() closewait.ProcessID { return g.id }

// Close lets go. It is needed once and does no harm when repeated.
func (g *Grip) Close() {
	g.pidfd.Close()
	if g.dir != nil {
		g.dir.Close()
	}
}

// verifyProcess opens /proc/PID and compares the start time. As the pidfd is alive afterwards the
// pid was not free meanwhile, so that both mean the same process.
func (g *Grip) verifyProcess() error {
	dir, err := g.hands.scanner.proc.openProcess(g.id.PID)
	if err != nil {
		return goneIfVanished(err)
	}
	g.dir = os.NewFile(uintptr(dir), "process")
	data, err := dir.read("stat", nil)
	if err != nil {
		return goneIfVanished(err)
	}
	st, err := parseStat(data)
	if err != nil {
		return err
	}
	if st.start != g.id.Start {
		return fmt.Errorf("%w: its pid means another one now", ErrGone)
	}
	return g.alive()
}

// alive returns ErrGone when the process has ended.
func (g *Grip) alive() error {
	exited, err := g.Exited()
	if err == nil && exited {
		return ErrGone
	}
	return err
}

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
	n, err := ignoringEINTR(func() (int, error) { return unix.Poll(ready, 0) })
	return err == nil && n == 1 && ready[0].Revents&unix.POLLIN != 0
}

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

// control calls f with the pidfd, which stays open meanwhile.
func (g *Grip) control(f func(fd int) error) error { return control(g.pidfd, f) }

// inDirectory calls f with /proc/PID, which stays open meanwhile.
func (g *Grip) inDirectory(f func(directory) error) error {
	return control(g.dir, func(fd int) error { return f(directory(fd)) })
}

func control(file *os.File, f func(fd int) error) error {
	raw, err := file.SyscallConn()
	if err != nil {
		return err
	}
	if raw.Control(func(fd uintptr) { err = f(int(fd)) }) != nil {
		return os.ErrClosed
	}
	return err
}

// goneIfVanished says ErrGone for errors that mean it.
func goneIfVanished(err error) error {
	if vanished(err) {
		return fmt.Errorf("%w: %w", ErrGone, err)
	}
	return err
}

// pidfdError says what an error of a system call on pidfds means.
func pidfdError(err error) error {
	switch {
	case errors.Is(err, unix.ENOSYS):
		return fmt.Errorf("%w: it needs Linux 5.3 or newer, and a seccomp filter that knows it", err)
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("%w: signals to other users' processes need CAP_KILL, and a seccomp filter must permit pidfds", err)
	}
	return goneIfVanished(err)
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
