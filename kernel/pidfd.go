package kernel

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel/host"
)

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
	pidfd, err := openPidfd(id.PID)
	if err != nil {
		return nil, err
	}
	g := &Grip{hands: h, id: id, pidfd: pidfd}
	if err := g.verifyProcess(); err != nil {
		g.Close()
		return nil, fmt.Errorf("process %d: %w", id.PID, err)
	}
	return g, nil
}

// openPidfd opens a pidfd that is non-blocking, so that the runtime waits for it as it does for sockets.
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
	dir, err := g.hands.host.OpenProcess(g.id)
	if err != nil {
		return host.GoneIfVanished(err)
	}
	g.dir = os.NewFile(uintptr(dir), "process")
	return g.alive()
}

// alive returns ErrGone when the process has ended.
func (g *Grip) alive() error {
	exited, err := g.Exited()
	if err == nil && exited {
		return closewait.ErrGone
	}
	return err
}

// control calls f with the pidfd, which stays open meanwhile.
func (g *Grip) control(f func(fd int) error) error { return control(g.pidfd, f) }

// inDirectory calls f with /proc/PID, which stays open meanwhile.
func (g *Grip) inDirectory(f func(host.Directory) error) error {
	return control(g.dir, func(fd int) error { return f(host.Directory(fd)) })
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
