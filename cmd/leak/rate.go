package main

import (
	"fmt"
	"os"
	"time"
)

// shortestTick is the shortest time between two ticks; at higher rates several things are due at a
// time.
const shortestTick = 20 * time.Millisecond

// rate counts the things that are due.
type rate struct {
	ticks     <-chan time.Time // nil: never
	perSecond float64
	started   time.Time
	done      int
	reported  string // the last error
}

func newRate(perSecond float64) *rate {
	if perSecond == 0 {
		return &rate{}
	}
	every := max(time.Duration(float64(time.Second)/perSecond), shortestTick)
	return &rate{ticks: time.Tick(every), perSecond: perSecond, started: time.Now()}
}

// due is the number of things that have become due since the last call. Things that are late by
// more than a second are dropped, so that SIGCONT after SIGSTOP causes no flood.
func (r *rate) due() int {
	n := int(time.Since(r.started).Seconds()*r.perSecond) - r.done
	r.done += n
	return min(n, int(r.perSecond)+1)
}

// report writes an error, once: a server that runs out of descriptors runs on.
func (r *rate) report(err error) {
	if err == nil || err.Error() == r.reported {
		return
	}
	r.reported = err.Error()
	fmt.Fprintln(os.Stderr, "leak:", err)
}
