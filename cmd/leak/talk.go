package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"closewait_exporter/internal/leaktest/truth"
)

// talkEvery is how often people hear from the shop.
const talkEvery = 10 * time.Second

// talk tells people what is going on, on stderr.
type talk struct {
	wanted bool
	next   time.Time
}

// open says where to find what.
func (t *talk) open(name string, rate float64, st truth.State) {
	if !t.wanted {
		return
	}
	t.next = time.Now().Add(talkEvery)
	var at []string
	for _, addr := range st.Listeners {
		at = append(at, addr.String())
	}
	fmt.Fprintf(os.Stderr, "%s (pid %d) listens on %s and forgets to close %g connection(s) a second\n", name, st.PID, strings.Join(at, " and "), rate)
}

// progress says how far it has come, now and then.
func (t *talk) progress(name string, st truth.State) {
	if now := time.Now(); t.wanted && now.After(t.next) {
		t.next = now.Add(talkEvery)
		fmt.Fprintf(os.Stderr, "%s (pid %d) holds %d sockets in CLOSE_WAIT and has not accepted %d\n", name, st.PID, st.Leaked, st.Unaccepted)
	}
}
