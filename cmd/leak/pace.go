package main

import (
	"fmt"
	"os"
	"time"
)

// quickest is the shortest time between two rounds of leaking; higher rates leak several at a time.
const quickest = 20 * time.Millisecond

// pace says how many sockets are due.
type pace struct {
	ticks <-chan time.Time
	stop  func()

	rate    float64
	started time.Time
	done    float64
	said    string
}

func newPace(rate float64) *pace {
	if rate == 0 {
		return &pace{stop: func() {}}
	}
	every := max(time.Duration(float64(time.Second)/rate), quickest)
	ticker := time.NewTicker(every)
	return &pace{ticks: ticker.C, stop: ticker.Stop, rate: rate, started: time.Now()}
}

// due is how many sockets there should be more than there were at the last call.
func (p *pace) due() int {
	n := int(time.Since(p.started).Seconds()*p.rate - p.done)
	p.done += float64(n)
	return n
}

// report says what goes wrong, once: a server that runs out of descriptors runs on.
func (p *pace) report(err error) {
	if err == nil || err.Error() == p.said {
		return
	}
	p.said = err.Error()
	fmt.Fprintln(os.Stderr, "leak: cannot leak any more:", err)
}
