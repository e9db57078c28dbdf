package main

import (
	"fmt"

	"closewait_exporter/internal/leaktest/tcp"
	"closewait_exporter/internal/leaktest/truth"
)

// leakClosed makes n sockets that were reset and are still held: no socket table has them.
func (s *server) leakClosed(n int) error {
	for range n {
		client, fd, err := connectAccepted(&s.listeners, &s.clients)
		if err != nil {
			return err
		}
		sock, err := newSocket(fd, truth.Closed, nothing, s.pid)
		if err != nil {
			return err
		}
		if err := tcp.Reset(client); err != nil {
			return err
		}
		if err := tcp.AwaitState(fd, tcp.Closed); err != nil {
			return err
		}
		s.sockets = append(s.sockets, sock)
	}
	return nil
}

// reset makes the n oldest sockets in CLOSE_WAIT that we hold closed. It sends a byte on each: the
// peer is gone, so the kernel answers with a RST.
func (s *server) reset(n int) error {
	leaked := s.closable()
	if n > len(leaked) {
		return fmt.Errorf("reset %d: %d sockets are leaked and ours", n, len(leaked))
	}
	for _, sock := range leaked[:n] {
		if err := tcp.Write(sock.fd, 1); err != nil {
			return err
		}
	}
	for _, sock := range leaked[:n] {
		if err := tcp.AwaitState(sock.fd, tcp.Closed); err != nil {
			return err
		}
		sock.Was, sock.Kind = sock.Kind, truth.Closed
	}
	return nil
}

// discard closes our descriptors of the n oldest closed sockets.
func (s *server) discard(n int) error {
	var closed []*socket
	for _, sock := range s.sockets {
		if sock.fd >= 0 && sock.Kind == truth.Closed {
			closed = append(closed, sock)
		}
	}
	if n > len(closed) {
		return fmt.Errorf("discard %d: %d sockets are closed and ours", n, len(closed))
	}
	s.release(closed[:n])
	return nil
}
