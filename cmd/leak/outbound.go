package main

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"closewait_exporter/internal/leaktest/tcp"
	"closewait_exporter/internal/leaktest/truth"
)

// leakOutbound makes n sockets of a client that does not close after its server did.
func (s *server) leakOutbound(n int) error {
	if n > 0 && len(s.backends.listeners) == 0 {
		if err := s.openBackends(); err != nil {
			return err
		}
	}
	for range n {
		left := s.nextUnread()
		client, server, err := connectAccepted(&s.backends, &s.clients)
		if err != nil {
			return err
		}
		err = errors.Join(tcp.Write(server, left.payload()), unix.Close(server))
		if err == nil {
			err = tcp.AwaitState(client, tcp.CloseWait)
		}
		if err != nil {
			return fmt.Errorf("leak an outbound socket: %w", err)
		}
		sock, err := s.keep(client, truth.Outbound, left)
		if err != nil {
			return err
		}
		s.sockets = append(s.sockets, sock)
	}
	return nil
}

// openBackends opens the servers to which outbound connections go.
func (s *server) openBackends() error {
	var err error
	s.backends, err = openListeners(s.extraAddrs(), netip.Addr{}, 0, s.protocol())
	return err
}

// extraAddrs are addresses for further listeners, one with the address of each listener and any
// port.
func (s *server) extraAddrs() []netip.AddrPort {
	var at []netip.AddrPort
	for _, l := range s.listeners.listeners {
		at = append(at, netip.AddrPortFrom(l.via.Addr(), 0))
	}
	return at
}

// establish makes n healthy connections; both ends are ours and stay open.
func (s *server) establish(n int) error {
	for range n {
		if _, _, err := connectAccepted(&s.listeners, &s.clients); err != nil {
			return err
		}
		s.healthy++
	}
	return nil
}
