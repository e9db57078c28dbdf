package main

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"closewait_exporter/internal/leaktest/tcp"
	"closewait_exporter/internal/leaktest/truth"
)

// Streams move streamBytes at a time; a slow reader takes only slowBytes of what it is sent.
const (
	streamEvery = 50 * time.Millisecond
	streamBytes = 1024
	slowBytes   = 100
)

// stream is a legitimate half-close: the client has sent its FIN and reads on, and the server sends
// on. Where the client reads slowly, the send queue of the server is never empty.
type stream struct {
	connection
	slow bool
}

// openStreams makes n streams whose clients read all they get.
func (s *server) openStreams(n int) error { return s.openStreamsOf(n, false) }

// openSlowStreams makes n streams whose clients read slowly.
func (s *server) openSlowStreams(n int) error { return s.openStreamsOf(n, true) }

func (s *server) openStreamsOf(n int, slow bool) error {
	for range n {
		client, fd, err := connectAccepted(&s.listeners, &s.clients)
		if err != nil {
			return err
		}
		if err := tcp.HalfClose(client, fd); err != nil {
			return err
		}
		sock, err := s.keep(fd, truth.Stream, nothing)
		if err != nil {
			return err
		}
		s.sockets = append(s.sockets, sock)
		s.streams = append(s.streams, stream{connection{client, fd}, slow})
	}
	return s.moveStreams()
}

// moveStreams sends something on each stream and receives it.
func (s *server) moveStreams() error {
	var errs error
	for _, st := range s.streams {
		move := stream.moveAll
		if st.slow {
			move = stream.overfill
		}
		errs = errors.Join(errs, move(st))
	}
	return errs
}

func (st stream) moveAll() error {
	err := tcp.Write(st.server, streamBytes)
	for got := 0; err == nil && got < streamBytes; {
		var n int
		n, err = unix.Read(st.client, make([]byte, streamBytes))
		got += n
		if err == nil && n == 0 {
			err = errors.New("the stream ended")
		}
	}
	return err
}

// overfill reads a little and sends until the send buffer is full.
func (st stream) overfill() error {
	buffer := make([]byte, 64<<10)
	if _, _, err := unix.Recvfrom(st.client, buffer[:slowBytes], unix.MSG_DONTWAIT); err != nil && !errors.Is(err, unix.EAGAIN) {
		return fmt.Errorf("read slowly: %w", err)
	}
	for {
		_, err := unix.SendmsgN(st.server, buffer, nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		if errors.Is(err, unix.EAGAIN) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("send to a slow reader: %w", err)
		}
	}
}
