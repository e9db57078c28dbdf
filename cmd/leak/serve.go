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

// serve makes all that is asked for, writes the state, and runs until it gets a signal or the end
// of stdin.
func serve(o options, end endMainThread) error {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM, syscall.SIGINT)
	s, err := prepare(o)
	if err != nil {
		return err
	}
	if err := s.makeAll(); err != nil {
		return err
	}
	if err := share(s); err != nil {
		return err
	}
	if o.zombieLeader {
		if err := end(); err != nil {
			return err
		}
	}
	if err := writeState(s.state()); err != nil {
		return err
	}
	s.progress.start(s.nameOrDefault(), s.rate, s.state())
	return s.loop(ended, commands())
}

// prepare takes the identity that is asked for and opens the listeners.
func prepare(o options) (*server, error) {
	if err := o.apply(); err != nil {
		return nil, err
	}
	s, err := newServer(o, os.Getpid())
	if err != nil {
		return nil, err
	}
	if o.receive != "" {
		if err := receiveOn(o.receive); err != nil {
			return nil, err
		}
	}
	return s, o.drop()
}

// makeAll makes the sockets that the options ask for.
func (s *server) makeAll() error {
	steps := []struct {
		do func(int) error
		n  int
	}{
		{s.establish, s.established}, {s.openStreams, s.options.streams}, {s.openSlowStreams, s.slowReaders}, {s.leakClosed, s.closed},
		{shutDown(s), s.finWait2}, {refuse(s), s.refused}, {open(s), s.bare},
		{s.leakOutbound, s.outbound}, {s.leak, s.options.sockets}, {s.leaveUnaccepted, s.unaccepted},
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

// loop answers commands, keeps the rates and moves the streams.
func (s *server) loop(ended <-chan os.Signal, lines <-chan string) error {
	leaking, churning := newRate(s.rate), newRate(s.churnRate)
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
			s.progress.report(s.nameOrDefault(), s.state())
		case <-churning.ticks:
			churning.report(traffic.tick(churning.due()))
		case <-moves:
			if err := s.moveStreams(); err != nil {
				return err
			}
		}
	}
}

func writeState(st truth.State) error { return json.NewEncoder(os.Stdout).Encode(st) }
