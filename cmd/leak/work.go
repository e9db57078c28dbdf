package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"closewait_exporter/internal/leaktest/truth"
)

// work makes all that is asked for, says so, and goes on until it is told to end.
func work(o options) error {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM, syscall.SIGINT)
	if err := o.apply(); err != nil {
		return err
	}
	s, err := newServer(o, os.Getpid())
	if err != nil {
		return err
	}
	if err := o.drop(); err != nil {
		return err
	}
	if err := s.begin(); err != nil {
		return err
	}
	if err := tell(s.state()); err != nil {
		return err
	}
	return s.serve(ended, commands())
}

// begin makes what the options count. Connections that wait to be accepted come last: accept takes
// the oldest first.
func (s *server) begin() error {
	steps := []struct {
		do func(int) error
		n  int
	}{
		{s.establish, s.established}, {s.openStreams, s.options.streams}, {s.leakDefunct, s.defunct},
		{s.leakOutbound, s.outbound}, {s.leak, s.options.sockets}, {s.queue, s.unaccepted},
	}
	for _, step := range steps {
		if err := step.do(step.n); err != nil {
			return err
		}
	}
	return nil
}

// serve obeys commands, keeps the rate and moves the streams.
func (s *server) serve(ended <-chan os.Signal, lines <-chan string) error {
	pace := newPace(s.rate)
	defer pace.stop()
	moves := time.NewTicker(streamEvery)
	defer moves.Stop()
	for {
		select {
		case <-ended:
			return nil
		case line, ok := <-lines:
			if !ok && s.exitWithStdin {
				return nil
			}
			if !ok {
				lines = nil
				continue
			}
			if err := s.answer(line); err != nil {
				return err
			}
		case <-pace.ticks:
			pace.report(s.leak(pace.due()))
		case <-moves.C:
			if err := s.moveStreams(); err != nil {
				return err
			}
		}
	}
}

// commands reads lines from stdin; the channel is closed at the end of file.
func commands() <-chan string {
	lines := make(chan string)
	go func() {
		defer close(lines)
		for in := bufio.NewScanner(os.Stdin); in.Scan(); {
			lines <- in.Text()
		}
	}()
	return lines
}

// answer carries out a command and tells the state after it.
func (s *server) answer(line string) error {
	err := s.obey(line)
	st := s.state()
	if err != nil {
		st.Error = err.Error()
	}
	return tell(st)
}

func (s *server) obey(line string) error {
	word, argument, counted := strings.Cut(line, " ")
	do := map[string]func(int) error{"leak": s.leak, "close": s.close, "accept": s.accept}[word]
	switch {
	case word == "read" && !counted:
		return s.read()
	case do == nil:
		return fmt.Errorf("unknown command %q: give leak N, close N, accept N or read", line)
	}
	n, err := strconv.Atoi(argument)
	if err != nil || n < 0 {
		return fmt.Errorf("%s: give a number of sockets, such as %q", line, word+" 3")
	}
	return do(n)
}

func tell(st truth.State) error { return json.NewEncoder(os.Stdout).Encode(st) }
