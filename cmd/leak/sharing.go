package main

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// sharing says which other processes get the leaked sockets.
type sharing struct {
	children int  // number of child processes that inherit them
	pass     bool // one more child gets them by SCM_RIGHTS, and we close ours
	inFlight bool // they are sent by SCM_RIGHTS and not received: no process holds them
}

// perMessage is the number of descriptors in one message (SCM_MAX_FD is 253).
const perMessage = 250

// share gives the leaked sockets to other processes, as asked for.
func (s *server) share() error {
	for range s.sharing.children {
		if err := s.inherit(); err != nil {
			return err
		}
	}
	if s.pass {
		if err := s.passOn(); err != nil {
			return err
		}
	}
	if s.inFlight {
		return s.sendAway()
	}
	return nil
}

// inherit starts a child that has all our leaked sockets.
func (s *server) inherit() error {
	leaked := s.closable()
	fds := make([]int, len(leaked))
	for i, sock := range leaked {
		fds[i] = sock.fd
	}
	pid, err := s.startHolder(fds)
	if err != nil {
		return err
	}
	for _, sock := range leaked {
		sock.Holders = append(sock.Holders, pid)
	}
	return nil
}

// passOn starts a child, sends it our leaked sockets and closes ours.
func (s *server) passOn() error {
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open a socket pair for the child: %w", err)
	}
	defer unix.Close(ends[0])
	pid, err := s.startHolder(ends[1:], "--receive")
	unix.Close(ends[1])
	if err != nil {
		return err
	}
	received := func() error {
		n, err := unix.Read(ends[0], make([]byte, 1))
		if err == nil && n == 0 {
			err = errors.New("it has ended")
		}
		return err
	}
	if err := s.send(ends[0], received); err != nil {
		return fmt.Errorf("pass sockets to the child %d: %w", pid, err)
	}
	for _, sock := range s.closable() {
		sock.Holders = append(sock.Holders, pid)
		sock.release(s.pid)
	}
	return nil
}

// sendAway sends our leaked sockets to ourselves, does not receive them and closes ours.
func (s *server) sendAway() error {
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open a socket pair for descriptors: %w", err)
	}
	if err := s.send(ends[0], func() error { return nil }); err != nil {
		return fmt.Errorf("send sockets away: %w", err)
	}
	for _, sock := range s.closable() {
		sock.release(s.pid)
	}
	return nil
}

// send sends our leaked sockets, and waits for an answer after each message.
func (s *server) send(channel int, received func() error) error {
	for leaked := s.closable(); len(leaked) > 0; {
		n := min(len(leaked), perMessage)
		fds := make([]int, n)
		for i, sock := range leaked[:n] {
			fds[i] = sock.fd
		}
		if err := unix.Sendmsg(channel, []byte{0}, unix.UnixRights(fds...), nil, 0); err != nil {
			return err
		}
		if err := received(); err != nil {
			return err
		}
		leaked = leaked[n:]
	}
	return nil
}

// startHolder starts a copy of this program that has the descriptors and does nothing. It ends when
// its stdin is closed. With --exit-with-stdin that is our own stdin, so that a holder can outlive
// us but not the process that started us; otherwise it is a pipe that closes when we end.
func (s *server) startHolder(fds []int, args ...string) (pid int, err error) {
	stdin, err := s.childStdin()
	if err != nil {
		return 0, err
	}
	null, err := unix.Open(os.DevNull, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("start a child: %w", err)
	}
	defer unix.Close(null)
	files := []uintptr{uintptr(stdin), uintptr(null), uintptr(unix.Stderr)}
	for _, fd := range fds {
		files = append(files, uintptr(fd))
	}
	args = append([]string{"leak", "holder", "--comm=" + s.nameOrDefault()}, args...)
	// The forked child resolves the path to itself, so it works even when our main thread has
	// ended.
	pid, err = syscall.ForkExec("/proc/self/exe", args, &syscall.ProcAttr{Files: files, Env: os.Environ()})
	if err != nil {
		return 0, fmt.Errorf("start a child: %w", err)
	}
	s.children = append(s.children, pid)
	go func() { _, _ = unix.Wait4(pid, nil, 0, nil) }() // reap it
	return pid, nil
}

// childStdin is the descriptor that becomes the stdin of children.
func (s *server) childStdin() (int, error) {
	var stat unix.Stat_t
	if err := unix.Fstat(unix.Stdin, &stat); err == nil && s.exitWithStdin && stat.Mode&unix.S_IFMT == unix.S_IFIFO {
		return unix.Stdin, nil
	}
	if s.lifeline == nil {
		s.lifeline = make([]int, 2)
		if err := unix.Pipe2(s.lifeline, unix.O_CLOEXEC); err != nil {
			return 0, fmt.Errorf("start a child: %w", err)
		}
	}
	return s.lifeline[0], nil
}
