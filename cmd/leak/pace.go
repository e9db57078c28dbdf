package main

import (
	"fmt"
	"os"
	"time"
)

// quickest is the shortest time between two turns; higher rates do several things at a time.
const quickest = 20 * time.Millisecond

// pace says how often something is due.
type pace struct {
	ticks   <-chan time.Time // nil: never
	rate    float64          // things a second
	started time.Time
	done    int
	said    string
}

func newPace(rate float64) *pace {
	if rate == 0 {
		return &pace{}
	}
	every := max(time.Duration(float64(time.Second)/rate), quickest)
	return &pace{ticks: time.Tick(every), rate: rate, started: time.Now()}
}

// due is how many more things there should have been than at the last call. What is late by more
// than a second is dropped: after SIGSTOP and SIGCONT there is no flood.
func (p *pace) due() int {
	n := int(time.Since(p.started).Seconds()*p.rate) - p.done
	p.done += n
	return min(n, int(p.rate)+1)
}

// report says what goes wrong, once: a server that runs out of descriptors runs on.
func (p *pace) report(err error) {
	if err == nil || err.Error() == p.said {
		return
	}
	p.said = err.Error()
	fmt.Fprintln(os.Stderr, "leak:", err)
}
