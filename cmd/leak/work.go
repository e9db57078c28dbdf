package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"closewait_exporter/internal/leaktest/truth"
)

// work makes all that is asked for, says so, and goes on until it is told to end.
func work(o options, leaveMain retire) error {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM, syscall.SIGINT)
	s, err := prepare(o)
	if err != nil {
		return err
	}
	if err := s.begin(); err != nil {
		return err
	}
	if err := s.share(); err != nil {
		return err
	}
	if o.zombieLeader {
		if err := leaveMain(); err != nil {
			return err
		}
	}
	if err := tell(s.state()); err != nil {
		return err
	}
	s.talk.open(s.nameOrDefault(), s.rate, s.state())
	return s.serve(ended, commands())
}

// prepare becomes the process that is asked for and opens the listeners.
func prepare(o options) (*server, error) {
	if err := o.apply(); err != nil {
		return nil, err
	}
	s, err := newServer(o, os.Getpid())
	if err != nil {
		return nil, err
	}
	return s, o.drop()
}

// begin makes what the options count.
func (s *server) begin() error {
	steps := []struct {
		do func(int) error
		n  int
	}{
		{s.establish, s.established}, {s.openStreams, s.options.streams}, {s.leakDefunct, s.defunct},
		{s.leakOutbound, s.outbound}, {s.leak, s.options.sockets}, {s.hang, s.unaccepted},
	}
	for _, step := range steps {
		err := step.do(step.n)
		if errors.Is(err, syscall.EMFILE) {
			return fmt.Errorf("%w: ask for less, or raise the limit (ulimit -n); each process takes its own", err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// serve obeys commands, keeps the rates and moves the streams.
func (s *server) serve(ended <-chan os.Signal, lines <-chan string) error {
	leaking, churning := newPace(s.rate), newPace(s.churnRate)
	traffic, err := s.openChurn()
	if err != nil {
		return err
	}
	var moves <-chan time.Time
	if len(s.streams) > 0 {
		moves = time.Tick(streamEvery)
	}
	for {
		select {
		case <-ended:
			return nil
		case line, more := <-lines:
			if !more && s.exitWithStdin {
				return nil
			}
			if !more {
				lines = nil
				continue
			}
			if err := s.answer(line); err != nil {
				return err
			}
		case <-leaking.ticks:
			leaking.report(s.grow(leaking.due()))
			s.talk.progress(s.nameOrDefault(), s.state())
		case <-churning.ticks:
			churning.report(traffic.turn(churning.due()))
		case <-moves:
			if err := s.moveStreams(); err != nil {
				return err
			}
		}
	}
}

func tell(st truth.State) error { return json.NewEncoder(os.Stdout).Encode(st) }
