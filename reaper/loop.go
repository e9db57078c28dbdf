package reaper

import (
	"context"
	"sync"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"closewait_exporter/closewait"
)

// Options are what a Reaper is made of. All are required but those that say otherwise.
type Options struct {
	Config  *Config
	Enforce bool                  // --reaper.enforce
	Own     []closewait.ProcessID // this program and its ancestors

	Observe Observe
	// Command reads the command line of a process. It returns in bounded time, whatever the process does.
	Command func(context.Context, *closewait.Process) (string, error)
	// Hands are those of each Mode; the ones of Enforce may be left out without Options.Enforce.
	Hands [2]Hands
	// Permitted tells why a step, or the close look before it, is beyond this program.
	Permitted func(*Step) error
	// Claim takes the right to act on this host, which one program has at a time.
	Claim func() (release func(), err error)

	StateFile *StateFile // nil: what was done is forgotten when the program ends
	Journal   Journal
	Logger    log.Logger
}

// Reaper evaluates its rules again and again, and lets ladders carry out what is decided.
type Reaper struct {
	options Options
	metrics *Metrics
	diary   *diary

	mu       sync.Mutex
	config   *Config       // that was read last
	reloaded chan struct{} // there is a new one

	// The rest is of the goroutine of Run alone.
	policy  *Policy
	state   State
	release func() // of the claim, when there is one
	claim   error  // why there is none
	unsaved bool   // what was done is not in the state file
	saving  error  // why it could not be written last time
	running int    // ladders
	endings chan Ending
}

// New returns a Reaper that does nothing until Run.
func New(o Options) *Reaper {
	r := &Reaper{options: o, metrics: NewMetrics(), diary: &diary{}, config: o.Config, reloaded: make(chan struct{}, 1), endings: make(chan Ending)}
	r.adopt()
	r.metrics.reloads(nil, time.Now())
	return r
}

// Metrics returns what the Reaper counts.
func (r *Reaper) Metrics() *Metrics { return r.metrics }

// Reload replaces the rules by those that load reads, or leaves them as they are when it fails.
// Cooldowns, the budget and the ladders that somebody is on remain.
func (r *Reaper) Reload(load func() (*Config, error)) error {
	config, err := load()
	r.metrics.reloads(err, time.Now())
	if err != nil {
		level.Error(r.options.Logger).Log("msg", "the rules stay as they are", "err", err)
		return err
	}
	r.mu.Lock()
	r.config = config
	r.mu.Unlock()
	select {
	case r.reloaded <- struct{}{}:
	default: // the loop has not taken up the last one yet, and will find this one instead
	}
	return nil
}

// Run evaluates the rules until ctx ends, and returns when all ladders have ended. An interval lies
// between the end of a round and the next: two looks at nearly the same time would be one.
func (r *Reaper) Run(ctx context.Context) error {
	defer r.rest()
	next := time.NewTimer(0)
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case e := <-r.endings:
			r.ended(e)
		case <-r.reloaded:
			r.adopt()
			next.Reset(r.policy.config.Interval)
		case <-next.C:
			r.round(ctx)
			next.Reset(r.policy.config.Interval)
		}
	}
}

// rest waits for the ladders, which end with ctx, and gives up the claim.
func (r *Reaper) rest() {
	for r.running > 0 {
		r.ended(<-r.endings)
	}
	if r.release != nil {
		r.release()
		r.release = nil
	}
}

// adopt makes the Policy of the rules that were read last.
func (r *Reaper) adopt() {
	r.mu.Lock()
	config := r.config
	r.mu.Unlock()
	findings := SelfTest(config, r.options.Enforce, r.options.Permitted)
	for _, f := range findings {
		emphasis[f.Mode](r.options.Logger).Log("msg", "a step cannot be carried out", "rule", f.Rule, "mode", f.Mode, "step", f.Step, "err", f.Err)
	}
	terms := Terms{Enforce: r.options.Enforce, Own: r.options.Own, Refused: Refused(findings)}
	if r.claim != nil {
		for i := range config.Rules {
			terms.Refused[config.Rules[i].Name] = r.claim.Error()
		}
	}
	r.policy = NewPolicy(config, terms)
	r.metrics.configure(r.policy)
	r.diary.adopt(r.policy)
}
