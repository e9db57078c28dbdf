package policy

import (
	"math/rand/v2"
	"testing"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/rules"
)

// simulatedHost is one of many with the same rule and the same brake.
type simulatedHost struct {
	leaksFrom time.Duration // the kernel shows the leak from then on; negative: never
	phase     time.Duration // of its scrapes
	state     State
	scraped   int // candidates at the last scrape
	cured     time.Duration
}

// simulatedFleet plays hosts with the brake of the documents: the query is the sum of the
// candidates, below 5, and hosts are scraped every 30 s.
type simulatedFleet struct {
	policy *Policy
	leak   *closewait.Holder
	hosts  []simulatedHost
	sum    int // of the candidates that have been scraped
}

func newSimulatedFleet(hosts int, leaksFrom func(i int) time.Duration) *simulatedFleet {
	c := config(rule())
	c.Interval = 20 * time.Second
	c.Fleet.Brake = &rules.Brake{Below: 5, Settle: 2 * time.Minute}
	f := &simulatedFleet{policy: New(c, Options{Enforce: true}), leak: holder(alice, sockets(2, 1, hour)), hosts: make([]simulatedHost, hosts)}
	for i := range f.hosts {
		f.hosts[i] = simulatedHost{leaksFrom: leaksFrom(i), phase: time.Duration(i%30) * time.Second, cured: -1}
	}
	return f
}

// play plays the fleet for a time and returns how many hosts have acted. Hosts decide one after the
// other, within 20 s.
func (f *simulatedFleet) play(length time.Duration) (acted int) {
	for at := time.Duration(0); at < length; at += time.Second {
		for i := range f.hosts {
			h := &f.hosts[i]
			if h.leaksFrom < 0 || at < h.leaksFrom {
				continue // a host without the leak has no candidates
			}
			if at%(30*time.Second) == h.phase {
				now := h.state.Candidates()["leak"]
				f.sum += now - h.scraped
				h.scraped = now
			}
			if at%(20*time.Second) == time.Duration(i%20)*time.Second && h.cured < 0 && f.round(h, at) {
				h.cured = at
				acted++
			}
		}
	}
	return acted
}

// round plays a round of a host and reports whether it acts.
func (f *simulatedFleet) round(h *simulatedHost, at time.Duration) bool {
	var decisions []Decision
	decisions, h.state = f.policy.Decide(view(at, f.leak), h.state)
	d := &decisions[0]
	if !d.Acts() {
		return false
	}
	if f.sum < 5 {
		return true
	}
	h.state = h.state.Ended(RunResult{ID: d.ID(), Mode: rules.Enforce, At: d.Taken, NoAction: true, Label: LabelBrake})
	return false
}

const fleetSize = 10_000

func TestAWaveThatHitsAllHostsAtOnceLetsNoneAct(t *testing.T) {
	f := newSimulatedFleet(fleetSize, func(int) time.Duration { return 0 })
	if acted := f.play(4 * time.Minute); acted > 0 {
		t.Errorf("%d hosts acted", acted)
	}
}

func TestAWaveThatRampsUpLetsAtMostTheNumberOfTheBrakeAct(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	f := newSimulatedFleet(fleetSize, func(int) time.Duration { return time.Duration(random.IntN(121)) * time.Second })
	if acted := f.play(4 * time.Minute); acted > 5 {
		t.Errorf("%d hosts acted, at most 5 may", acted)
	}
}

func TestALeakOnThreeHostsIsCuredOnAllThree(t *testing.T) {
	f := newSimulatedFleet(fleetSize, func(i int) time.Duration {
		if i%4000 == 17 {
			return 0
		}
		return -1
	})
	if acted := f.play(5 * time.Minute); acted != 3 {
		t.Errorf("%d hosts acted, want 3", acted)
	}
}
