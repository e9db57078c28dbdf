package main

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"closewait_exporter/internal/leaktest/truth"
)

// streamEvery is how often a stream moves, streamBytes how far.
const (
	streamEvery = 50 * time.Millisecond
	streamBytes = 1024
)

// stream is a legitimate half-close: the client has sent its FIN, reads on, and the server sends on.
type stream connection

// openStreams makes n streams.
func (s *server) openStreams(n int) error {
	for range n {
		client, served, err := connectAccepted(&s.doors, s.clients.call)
		if err != nil {
			return err
		}
		if err := unix.Shutdown(client, unix.SHUT_WR); err != nil {
			return fmt.Errorf("half-close a stream: %w", err)
		}
		if err := awaitState(served, stateCloseWait); err != nil {
			return err
		}
		sock, err := s.keep(served, truth.Stream, nothing)
		if err != nil {
			return err
		}
		s.sockets = append(s.sockets, sock)
		s.streams = append(s.streams, stream{client, served})
	}
	return nil
}

// moveStreams sends something on each stream and receives it.
func (s *server) moveStreams() error {
	var errs error
	for _, st := range s.streams {
		err := writeAll(st.served, streamBytes)
		for got := 0; err == nil && got < streamBytes; {
			var n int
			n, err = unix.Read(st.client, make([]byte, streamBytes))
			got += n
			if err == nil && n == 0 {
				err = errors.New("the stream ended")
			}
		}
		errs = errors.Join(errs, err)
	}
	return errs
}
