package main

import (
	"errors"
	"net/netip"

	"golang.org/x/sys/unix"
)

// churn is healthy traffic: connections that the client closes first, and the server a moment later.
// Until then they are in CLOSE_WAIT, as any are.
type churn struct {
	doors   doors
	clients clients
	closing []connection
}

// connection is both ends of one; both are descriptors of ours.
type connection struct{ client, served int }

// openChurn opens listeners of their own for healthy traffic, where there is some.
func (s *server) openChurn() (*churn, error) {
	if s.churnRate == 0 {
		return nil, nil
	}
	at, err := openDoors(s.besides(), netip.Addr{}, 0)
	return &churn{doors: at}, err
}

// turn closes the connections of the last turn and opens n others.
func (c *churn) turn(n int) error {
	var errs error
	for _, old := range c.closing {
		// With a RST neither end stays in TIME_WAIT, so that ports do not run out.
		errs = errors.Join(errs, reset(old.served), unix.Close(old.client))
	}
	c.closing = c.closing[:0]
	for range n {
		client, served, err := connectAccepted(&c.doors, c.clients.call)
		if err != nil {
			return errors.Join(errs, err)
		}
		c.closing = append(c.closing, connection{client, served})
		errs = errors.Join(errs, unix.Shutdown(client, unix.SHUT_WR))
	}
	return errs
}
