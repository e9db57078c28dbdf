package main

import (
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"closewait_exporter/internal/leaktest/truth"
)

// socket is one that we do not close.
type socket struct {
	truth.Socket
	fd     int // -1 while it is unaccepted, and when it is not ours any more
	unread unread
}

// newSocket describes an accepted or connected socket.
func newSocket(fd int, kind truth.Kind, left unread, holder int) (*socket, error) {
	s := &socket{fd: fd, unread: left}
	s.Kind = kind
	s.RecvQ = left.recvQ()
	s.Holders = []int{holder}
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return nil, fmt.Errorf("find the inode of a socket: %w", err)
	}
	s.Inode = stat.Ino
	cookie, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_COOKIE)
	if err != nil {
		return nil, fmt.Errorf("find the cookie of a socket: %w", err)
	}
	s.Cookie = cookie
	if s.Local, err = localOf(fd); err != nil {
		return nil, err
	}
	peer, err := unix.Getpeername(fd)
	if err != nil {
		return nil, fmt.Errorf("find the peer of a socket: %w", err)
	}
	s.Remote = addrPortOf(peer)
	return s, nil
}

// readAll reads what is left, the end of file too.
func (s *socket) readAll() error {
	s.RecvQ = 0
	return readToEnd(s.fd)
}

// release closes our descriptor; others may still hold the socket.
func (s *socket) release(holder int) {
	unix.Close(s.fd)
	s.fd = -1
	s.Holders = slices.DeleteFunc(slices.Clone(s.Holders), func(pid int) bool { return pid == holder })
}
