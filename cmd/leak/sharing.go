package main

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// sharing says which other processes get the leaked sockets.
type sharing struct {
	children int  // number of child processes that inherit them
	pass     bool // one more child gets them by SCM_RIGHTS, and we close ours
	inFlight bool // they are sent by SCM_RIGHTS and not received: no process holds them

	handOver string // path of the unix socket of a process that gets them
	receive  string // path of a unix socket on which descriptors of others are received and kept
}

// perMessage is the number of descriptors in one message (SCM_MAX_FD is 253).
const perMessage = 250

// share gives the leaked sockets of a server to other processes, as the options ask for.
func share(s *server) error {
	for range s.options.children {
		if err := inherit(s); err != nil {
			return err
		}
	}
	if s.pass {
		if err := passOn(s); err != nil {
			return err
		}
	}
	if s.inFlight {
		return sendAway(s)
	}
	if s.handOver != "" {
		return handOver(s)
	}
	return nil
}

// inherit starts a child that has all our leaked sockets.
func inherit(s *server) error {
	leaked := s.closable()
	fds := make([]int, len(leaked))
	for i, sock := range leaked {
		fds[i] = sock.fd
	}
	pid, err := s.children.start(fds)
	if err != nil {
		return err
	}
	for _, sock := range leaked {
		sock.Holders = append(sock.Holders, pid)
	}
	return nil
}

// passOn starts a child, sends it our leaked sockets and closes ours.
func passOn(s *server) error {
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open a socket pair for the child: %w", err)
	}
	defer unix.Close(ends[0])
	pid, err := s.children.start(ends[1:], "--receive")
	unix.Close(ends[1])
	if err != nil {
		return err
	}
	if err := send(s.closable(), ends[0], answeredOn(ends[0])); err != nil {
		return fmt.Errorf("pass sockets to the child %d: %w", pid, err)
	}
	for _, sock := range s.closable() {
		sock.Holders = append(sock.Holders, pid)
		sock.release(s.pid)
	}
	return nil
}

// answeredOn returns a function that waits until the process at the other end has received a
// message.
func answeredOn(channel int) func() error {
	return func() error {
		n, err := unix.Read(channel, make([]byte, 1))
		if err == nil && n == 0 {
			err = errors.New("it has ended")
		}
		return err
	}
}

// sendAway sends our leaked sockets to ourselves, does not receive them and closes ours.
func sendAway(s *server) error {
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open a socket pair for descriptors: %w", err)
	}
	if err := send(s.closable(), ends[0], func() error { return nil }); err != nil {
		return fmt.Errorf("send sockets away: %w", err)
	}
	for _, sock := range s.closable() {
		sock.release(s.pid)
	}
	return nil
}

// send sends the leaked sockets, and waits for an answer after each message.
func send(leaked []*socket, channel int, received func() error) error {
	for len(leaked) > 0 {
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
