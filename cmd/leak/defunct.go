package main

import (
	"fmt"

	"closewait_exporter/internal/leaktest/truth"
)

// leakDefunct makes n sockets that were reset and are still held: no socket table has them.
func (s *server) leakDefunct(n int) error {
	for range n {
		client, served, err := connectAccepted(&s.doors, s.clients.call)
		if err != nil {
			return err
		}
		sock, err := s.keepDefunct(client, served)
		if err != nil {
			return err
		}
		s.sockets = append(s.sockets, sock)
	}
	return nil
}

func (s *server) keepDefunct(client, served int) (*socket, error) {
	sock, err := newSocket(served, truth.Defunct, nothing, s.pid)
	if err != nil {
		return nil, err
	}
	if err := reset(client); err != nil {
		return nil, err
	}
	return sock, awaitState(served, stateClose)
}

// reset makes the n oldest sockets in CLOSE_WAIT that we hold defunct: it sends a byte to who is gone, and
// the kernel there answers with a RST.
func (s *server) reset(n int) error {
	leaked := s.closable()
	if n > len(leaked) {
		return fmt.Errorf("reset %d: %d sockets are leaked and ours", n, len(leaked))
	}
	for _, sock := range leaked[:n] {
		if err := writeAll(sock.fd, 1); err != nil {
			return err
		}
	}
	for _, sock := range leaked[:n] {
		if err := awaitState(sock.fd, stateClose); err != nil {
			return err
		}
		sock.Was, sock.Kind = sock.Kind, truth.Defunct
	}
	return nil
}

// bury closes our descriptors of the n oldest defunct sockets.
func (s *server) bury(n int) error {
	var defunct []*socket
	for _, sock := range s.sockets {
		if sock.fd >= 0 && sock.Kind == truth.Defunct {
			defunct = append(defunct, sock)
		}
	}
	if n > len(defunct) {
		return fmt.Errorf("bury %d: %d sockets are defunct and ours", n, len(defunct))
	}
	s.release(defunct[:n])
	return nil
}
