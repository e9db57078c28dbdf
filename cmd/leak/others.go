package main

import (
	"errors"
	"net/netip"

	"closewait_exporter/internal/leaktest/tcp"
	"closewait_exporter/internal/leaktest/truth"
)

// shutDown returns a function that makes n sockets in FIN_WAIT2. Their other ends are in CLOSE_WAIT
// and leaked. A proxy leaks in such pairs.
func shutDown(s *server) func(n int) error {
	return func(n int) error {
		for range n {
			client, fd, err := connectAccepted(&s.listeners, &s.clients)
			if err != nil {
				return err
			}
			if err := errors.Join(tcp.HalfClose(fd, client), tcp.AwaitState(fd, tcp.FinWait2)); err != nil {
				return err
			}
			half, err := newSocket(fd, truth.FinWait2, nothing, s.pid)
			if err != nil {
				return err
			}
			leaked, err := s.keep(client, truth.Outbound, onlyFIN)
			if err != nil {
				return err
			}
			s.sockets = append(s.sockets, half, leaked)
		}
		return nil
	}
}

// refuse returns a function that makes n sockets whose connect(2) was refused: nothing listens on
// port 1.
func refuse(s *server) func(n int) error { return keepUnconnected(s, 1) }

// open returns a function that makes n sockets and does nothing with them.
func open(s *server) func(n int) error { return keepUnconnected(s, 0) }

func keepUnconnected(s *server, port uint16) func(n int) error {
	return func(n int) error {
		for range n {
			to := netip.AddrPortFrom(s.listeners.next().via.Addr(), port)
			fd, err := tcp.Unconnected(to, s.protocol())
			if err != nil {
				return err
			}
			sock, err := newSocket(fd, truth.Unconnected, nothing, s.pid)
			if err != nil {
				return err
			}
			sock.Remote = netip.AddrPortFrom(sock.Local.Addr(), 0) // unspecified
			if port != 0 {
				sock.Remote = netip.AddrPortFrom(to.Addr(), 0) // the kernel forgets the port
			}
			if port != 0 && sock.MPTCP {
				sock.Remote = to
			}
			s.sockets = append(s.sockets, sock)
		}
		return nil
	}
}
