package scan_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

const (
	maxChildren = 3
	maxThreads  = 1
	maxInFlight = 4
)

// chooseSome chooses up to three of the ends that the actor holds.
func (a *actor) chooseSome(next operation) []*heldEnd {
	var chosen []*heldEnd
	for i := range 1 + next.Size%3 {
		if e := a.choose(next.Which + i); e != nil && !slices.Contains(chosen, e) {
			chosen = append(chosen, e)
		}
	}
	return chosen
}

// fork starts a process that inherits some sockets.
func (a *actor) fork(next operation) error {
	chosen := a.chooseSome(next)
	if len(chosen) == 0 || len(a.children) >= maxChildren {
		return nil
	}
	cmd := exec.Command("cat")
	for _, e := range chosen {
		fd, err := unix.FcntlInt(uintptr(e.fds[0]), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			return err
		}
		file := os.NewFile(uintptr(fd), "socket")
		defer file.Close()
		cmd.ExtraFiles = append(cmd.ExtraFiles, file)
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	a.children = append(a.children, &child{cmd, stdin})
	return cmd.Start()
}

func (a *actor) reap(next operation) error {
	if len(a.children) > 0 {
		i := next.Which % len(a.children)
		a.children[i].end()
		a.children = slices.Delete(a.children, i, i+1)
	}
	return nil
}

// send sends sockets in a message that is not received yet, and closes them here.
func (a *actor) send(next operation) error {
	chosen := a.chooseSome(next)
	if len(chosen) == 0 || len(a.inFlight) >= maxInFlight {
		return nil
	}
	var fds []int
	for _, e := range chosen {
		fds = append(fds, e.fds[0])
	}
	if err := unix.Sendmsg(a.channel[0], []byte{0}, unix.UnixRights(fds...), nil, 0); err != nil {
		return err
	}
	for _, e := range chosen {
		for len(e.fds) > 0 {
			unix.Close(e.fds[0])
			e.fds = e.fds[1:]
		}
	}
	a.inFlight = append(a.inFlight, chosen)
	return nil
}

// receive receives the oldest message.
func (a *actor) receive(operation) error {
	if len(a.inFlight) == 0 {
		return nil
	}
	rights := make([]byte, unix.CmsgSpace(8*4))
	_, n, _, _, err := unix.Recvmsg(a.channel[1], make([]byte, 1), rights, unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		return err
	}
	messages, err := unix.ParseSocketControlMessage(rights[:n])
	if err != nil {
		return err
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != len(a.inFlight[0]) {
		return errors.Join(err, fmt.Errorf("%d descriptors for %d sockets", len(fds), len(a.inFlight[0])))
	}
	for i, e := range a.inFlight[0] {
		e.fds = append(e.fds, fds[i])
	}
	a.inFlight = a.inFlight[1:]
	return nil
}

// thread is a thread with a copy of the descriptor table, which keeps sockets open that all
// others close.
type thread struct {
	leave chan struct{}
	dir   string // below /proc, as long as it lives
}

func (a *actor) startThread(operation) error {
	if len(a.threads) >= maxThreads {
		return nil
	}
	t := &thread{leave: make(chan struct{})}
	started := make(chan error)
	go t.run(started)
	a.threads = append(a.threads, t)
	return <-started
}

func (t *thread) run(started chan<- error) {
	onOtherThread(func() {
		dir, err := os.Readlink("/proc/thread-self")
		t.dir = "/proc/" + dir
		started <- errors.Join(err, unix.Unshare(unix.CLONE_FILES))
		<-t.leave
	})
}

// onOtherThread calls f on a thread that ends with the calling goroutine. It is never the main
// thread, which must not end or change.
func onOtherThread(f func()) {
	runtime.LockOSThread() // for good
	if unix.Gettid() != unix.Getpid() {
		f()
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		onOtherThread(f)
	}()
	<-done
	runtime.UnlockOSThread()
}

func (a *actor) endThread(next operation) error {
	if len(a.threads) == 0 {
		return nil
	}
	i := next.Which % len(a.threads)
	t := a.threads[i]
	a.threads = slices.Delete(a.threads, i, i+1)
	close(t.leave)
	over, tick := time.After(timeout), time.NewTicker(time.Millisecond) // the kernel does not announce the end of a thread
	defer tick.Stop()
	for {
		if _, err := os.Stat(t.dir); errors.Is(err, os.ErrNotExist) {
			return nil
		}
		select {
		case <-tick.C:
		case <-over:
			return fmt.Errorf("%s is still there", t.dir)
		}
	}
}
