package main

import (
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"closewait_exporter/internal/leaktest/tcp"
	"closewait_exporter/internal/leaktest/truth"
)

// socket is a leaked socket.
type socket struct {
	truth.Socket
	fd     int // -1 while it is unaccepted, and once we have closed it
	unread unread
}

// newSocket describes a socket that is not waiting to be accepted.
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
	protocol, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PROTOCOL)
	if err != nil {
		return nil, fmt.Errorf("find the protocol of a socket: %w", err)
	}
	s.MPTCP = protocol == unix.IPPROTO_MPTCP
	if s.Local, err = tcp.LocalAddr(fd); err != nil {
		return nil, err
	}
	if kind == truth.Unconnected {
		return s, nil
	}
	if s.Remote, err = tcp.PeerAddr(fd); err != nil {
		return nil, fmt.Errorf("find the peer of a socket: %w", err)
	}
	return s, nil
}

// readAll reads what is unread, including the end of file.
func (s *socket) readAll() error {
	s.RecvQ = 0
	return tcp.ReadToEnd(s.fd)
}

// release closes our descriptor; other processes may still hold the socket.
func (s *socket) release(holder int) {
	unix.Close(s.fd)
	s.fd = -1
	s.Holders = slices.DeleteFunc(slices.Clone(s.Holders), func(pid int) bool { return pid == holder })
}
