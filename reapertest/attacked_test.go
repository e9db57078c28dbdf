package reapertest

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"closewait_exporter/internal/leaktest"
)

// attackFor repeats the turns of all servers for the given time, and until there are enough
// decisions.
func (e *exporter) attackFor(duration time.Duration, servers map[string]*attacked) (values metrics) {
	e.t.Helper()
	stop := make(chan struct{})
	var clients sync.WaitGroup
	defer clients.Wait()
	defer close(stop)
	for _, s := range servers {
		if s.turn != "" {
			clients.Go(func() { s.repeat(stop) })
		}
	}
	started := time.Now()
	leaktest.EventuallyEvery(e.t, duration+maxWait, time.Second, func() (bool, string) {
		values = e.scrape()
		var missing []string
		for name, s := range servers {
			if values[decisions(name, s.want)] < enoughDecisions && s.target.alive() {
				missing = append(missing, name)
			}
		}
		return time.Since(started) >= duration && len(missing) == 0, fmt.Sprintf("too few decisions of %v", missing)
	})
	return values
}

// attacked is a server with its clients.
type attacked struct {
	*attack
	target *target

	mu      sync.Mutex
	batches []time.Time   // upper bounds of the age of the sockets, oldest first: when each batch was asked for
	worst   time.Duration // the longest time for which a batch can have existed
	failed  error         // why the turns have ended
}

// start starts the server.
func (a *attack) start(t *testing.T, exe, address string) *attacked {
	t.Helper()
	s := &attacked{attack: a}
	started := time.Now()
	l := leaktest.Where{Program: exe}.Start(t, append(strings.Fields(a.leak), "--listen="+address)...)
	s.target = follow(t, l, exe)
	switch a.turn {
	case "": // nothing depends on the age of its sockets
	case "state": // each answer shows that the server runs, and thus moves its streams
		s.batches = []time.Time{started}
	default:
		for range l.Leaked / rotated {
			s.batches = append(s.batches, started)
		}
	}
	return s
}

// repeat takes turns until it is stopped. A turn replaces the oldest batch.
func (s *attacked) repeat(stop <-chan struct{}) {
	pace := time.NewTicker(200 * time.Millisecond)
	defer pace.Stop()
	for {
		select {
		case <-stop:
			return
		case <-pace.C:
		}
		asked := time.Now()
		err := s.target.Try(s.turn)
		s.mu.Lock()
		s.worst = max(s.worst, time.Since(s.batches[0]))
		if err == nil {
			s.batches = append(s.batches[1:], asked)
		}
		s.failed = err
		s.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// oldest is an upper bound of the age that any socket of the server has reached.
func (s *attacked) oldest() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.batches) == 0 {
		return 0
	}
	if s.failed != nil { // the server has ended
		return s.worst
	}
	return max(s.worst, time.Since(s.batches[0]))
}
