package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"closewait_exporter/internal/leaktest/truth"
)

// progressEvery is the time between two lines of progress.
const progressEvery = 10 * time.Second

// progress is written to stderr for the person who watches the shop.
type progress struct {
	wanted bool
	next   time.Time
}

// start writes which process leaks, and where it listens.
func (p *progress) start(name string, rate float64, st truth.State) {
	if !p.wanted {
		return
	}
	p.next = time.Now().Add(progressEvery)
	var at []string
	for _, addr := range st.Listeners {
		at = append(at, addr.String())
	}
	fmt.Fprintf(os.Stderr, "%s (pid %d) listens on %s and forgets to close %g connection(s) a second\n", name, st.PID, strings.Join(at, " and "), rate)
}

// report writes the number of leaked sockets, if a line is due.
func (p *progress) report(name string, st truth.State) {
	if now := time.Now(); p.wanted && now.After(p.next) {
		p.next = now.Add(progressEvery)
		fmt.Fprintf(os.Stderr, "%s (pid %d) holds %d sockets in CLOSE_WAIT and has not accepted %d\n", name, st.PID, st.Leaked, st.Unaccepted)
	}
}
