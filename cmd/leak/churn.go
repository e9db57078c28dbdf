package main

import (
	"errors"
	"net/netip"

	"golang.org/x/sys/unix"

	"closewait_exporter/internal/leaktest/tcp"
)

// churn is healthy traffic: connections that the client closes first and the server on the next
// tick. In between they are in CLOSE_WAIT, as all closing connections are.
type churn struct {
	listeners listeners
	clients   clients
	closing   []connection
	// maxPerTick bounds a tick, so that a loaded machine makes churn slower, but leaves no
	// connection in CLOSE_WAIT for long.
	maxPerTick int
}

// connection holds the descriptors of both ends; both are ours.
type connection struct{ client, server int }

// openChurn opens listeners for healthy traffic if there is to be any.
func (s *server) openChurn() (*churn, error) {
	if s.churnRate == 0 {
		return nil, nil
	}
	opened, err := openListeners(s.extraAddrs(), netip.Addr{}, 0, s.protocol())
	perTick := int(s.churnRate * shortestTick.Seconds())
	return &churn{listeners: opened, maxPerTick: max(100, 2*perTick)}, err
}

// tick closes the connections of the last tick and opens n others, or as many as one tick may.
func (c *churn) tick(n int) error {
	var errs error
	for _, old := range c.closing {
		// With a RST neither end stays in TIME_WAIT, so that ports do not run out.
		errs = errors.Join(errs, tcp.Reset(old.server), unix.Close(old.client))
	}
	c.closing = c.closing[:0]
	for range min(n, c.maxPerTick) {
		client, server, err := connectAccepted(&c.listeners, &c.clients)
		if err != nil {
			return errors.Join(errs, err)
		}
		c.closing = append(c.closing, connection{client, server})
		errs = errors.Join(errs, unix.Shutdown(client, unix.SHUT_WR))
	}
	return errs
}
