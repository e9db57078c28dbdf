package policy

import (
	"math/rand/v2"
	"slices"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/rules"
)

// doneAction is an action that was taken, or that a remediation has reserved.
type doneAction struct {
	at  time.Duration // uptime
	run string
}

func chaosLimits(rng *rand.Rand) rules.Limits {
	return rules.Limits{Actions: 1 + rng.IntN(5), Per: time.Duration(1+rng.IntN(10)) * time.Minute}
}

func (c *chaos) reload() {
	config := *c.policy.config
	config.Rules = slices.Clone(config.Rules)
	config.Rules[0].When.For = time.Duration(c.rng.IntN(20)) * time.Second
	config.Rules[1].Cooldown = time.Duration(c.rng.IntN(120)) * time.Second
	config.Limits = chaosLimits(c.rng)
	c.policy, c.trial = New(&config, Options{Enforce: true}), New(&config, Options{})
}

// wall is the wall clock, after the epoch. It is set only between two runs of the program: in one
// run, View.Taken is monotonic.
func (c *chaos) wall() time.Duration { return c.now + c.jump }

// restart passes the past actions through a file, as after kill -9: remediations that have begun,
// or that have only been reserved, give nothing back. Meanwhile somebody may set the clock.
func (c *chaos) restart() {
	acting, dry := c.saved(&c.state.limiters[rules.Enforce]), c.saved(&c.dry.limiters[rules.DryRun])
	c.now += time.Second
	if c.rng.IntN(2) == 0 {
		c.jump = time.Duration(c.rng.IntN(48)-24) * time.Hour
	}
	c.state, c.dry, c.runs = State{}, State{}, nil
	c.state.limiters[rules.Enforce], c.dry.limiters[rules.DryRun] = c.restored(acting), c.restored(dry)
}

func (c *chaos) saved(l *limiter) []byte {
	data, err := l.encode(epoch.Add(c.wall()), closewait.Boot{ID: "this", Uptime: c.now})
	if err != nil {
		c.t.Fatal(err)
	}
	return data
}

func (c *chaos) restored(data []byte) limiter {
	l, err := decode(data, epoch.Add(c.wall()), closewait.Boot{ID: "this", Uptime: c.now})
	if err != nil {
		c.t.Fatal(err)
	}
	return l
}

// checkLimits is called after decisions to act, because a reload can make limits stricter than what
// was done before.
func (c *chaos) checkLimits() {
	c.done = slices.DeleteFunc(c.done, func(a doneAction) bool { return c.now-a.at >= actionsKept })
	limits, done := c.policy.config.Limits, 0
	for _, a := range c.done {
		if c.now-a.at < limits.Per {
			done++
		}
	}
	if done > limits.Actions {
		c.t.Fatalf("%d actions in %s, limits are %d", done, limits.Per, limits.Actions)
	}
}
