package e2e

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"closewait_exporter/internal/leaktest"
)

// watchedList is a running list --watch.
type watchedList struct {
	scanner string

	mu     sync.Mutex
	latest listing
}

// watchList runs list --watch until the test ends.
func watchList(t *testing.T, scanner string) *watchedList {
	t.Helper()
	w := &watchedList{scanner: scanner}
	cmd := exec.Command(program(t), "list", "--watch=1s", "--output=json", "--collector.scanner="+scanner)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	stdout, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for documents := json.NewDecoder(stdout); ; {
			var l listing
			if documents.Decode(&l) != nil {
				break
			}
			w.mu.Lock()
			w.latest = l
			w.mu.Unlock()
		}
		_ = cmd.Wait() // the error is that it was killed
	}()
	t.Cleanup(func() { _ = cmd.Process.Kill(); <-ended })
	return w
}

// last is the latest list.
func (w *watchedList) last() listing {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.latest
}

// checkWatched waits until the watched lists say the truth about each server.
func (r *leakRun) checkWatched() {
	r.t.Helper()
	for _, w := range r.watched {
		for _, s := range r.servers {
			leaktest.Eventually(r.t, maxWait, func() (bool, string) {
				for _, p := range w.last().Processes {
					if p.PID == s.pid {
						why, holds := r.problemWith(p, s)
						return holds, fmt.Sprintf("list --watch with the %s scanner, %v: %s", w.scanner, s, why)
					}
				}
				return false, fmt.Sprintf("list --watch with the %s scanner does not list %v", w.scanner, s)
			})
		}
	}
}

// problemWith compares a listed process with the truth.
func (r *leakRun) problemWith(p listedProcess, s *hangingServer) (problem string, holds bool) {
	now := time.Now()
	fewest, all := truth(r.t, number, s, now, r.span)
	if n := float64(p.Sockets); n < fewest || n > all {
		return fmt.Sprintf("%v sockets, want %v to %v", n, fewest, all), false
	}
	if p.Trend == nil || p.Trend.SocketsPerSecond == nil || p.Trend.LeftSeconds == nil {
		return "no trend", false
	}
	over := time.Duration(p.Trend.OverSeconds * float64(time.Second))
	for _, said := range []struct {
		means meaning
		value float64
	}{{growth, *p.Trend.SocketsPerSecond}, {timeLeft, *p.Trend.LeftSeconds}} {
		if least, most := truth(r.t, said.means, s, now, over); said.value < least || said.value > most {
			return fmt.Sprintf("meaning %d: %v, want %v to %v", said.means, said.value, least, most), false
		}
	}
	return "", true
}
