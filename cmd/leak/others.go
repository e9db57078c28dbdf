package main

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"closewait_exporter/internal/leaktest/truth"
)

// connectAccepted opens a connection to one of the doors and accepts it, before anybody closes.
func connectAccepted(to *doors, call func(netip.AddrPort) (int, netip.AddrPort, error)) (near, far int, err error) {
	door := to.next()
	near, local, err := call(door.via)
	if err != nil {
		return -1, -1, err
	}
	far, _, err = to.accept(func(e ends) bool { return e == door.ends(local) })
	if err != nil {
		unix.Close(near)
		return -1, -1, err
	}
	return near, far, nil
}

// leakOutbound makes n sockets of a client that does not close after its server did.
func (s *server) leakOutbound(n int) error {
	if n > 0 && len(s.backends.doors) == 0 {
		if err := s.openBackends(); err != nil {
			return err
		}
	}
	for range n {
		left := s.nextUnread()
		client, served, err := connectAccepted(&s.backends, s.clients.call)
		if err != nil {
			return err
		}
		err = errors.Join(writeAll(served, left.payload()), unix.Close(served))
		if err == nil {
			err = awaitState(client, stateCloseWait)
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

// openBackends opens servers of our own for outbound connections.
func (s *server) openBackends() error {
	var err error
	s.backends, err = openDoors(s.besides(), netip.Addr{}, 0)
	return err
}

// besides are addresses for further listeners, one next to each door.
func (s *server) besides() []netip.AddrPort {
	var at []netip.AddrPort
	for _, d := range s.doors.doors {
		at = append(at, netip.AddrPortFrom(d.via.Addr(), 0))
	}
	return at
}

// establish makes n healthy connections; both ends are ours and stay.
func (s *server) establish(n int) error {
	for range n {
		if _, _, err := connectAccepted(&s.doors, s.clients.call); err != nil {
			return err
		}
		s.healthy++
	}
	return nil
}
