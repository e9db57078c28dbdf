package reaper

import (
	"context"
	"sync"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	"github.com/prometheus/client_golang/prometheus"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/policy"
	"closewait_exporter/reaper/rules"
	"closewait_exporter/reaper/step"
)

// Options configure a Reaper. All are required unless they say otherwise.
type Options struct {
	Config  *rules.Config
	Enforce bool                  // --reaper.enforce
	Own     []closewait.ProcessID // this program and its ancestors

	// Observe returns a View of the host that is newer than the call.
	Observe func(context.Context) (*closewait.View, error)
	// Command reads the command line of a process. It returns in bounded time, whatever the process
	// does.
	Command func(context.Context, *closewait.Process) (string, error)
	// Supervision returns who starts a process again after it has ended. It returns when its context
	// ends at the latest.
	Supervision func(context.Context, *closewait.Process) closewait.Supervision
	// Activity shows whether a process can run. It cannot block.
	Activity func(closewait.ProcessID) (closewait.Activity, error)
	// FDGrowth returns how fast the open descriptors of a process have grown until the last View.
	FDGrowth func(closewait.ProcessID) closewait.Growth
	// Executors are used by the rules of each Mode; Enforce may be nil without Options.Enforce.
	Executors [2]step.Executor
	// Fleet asks the servers that the section fleet of the rules names.
	Fleet Fleet
	// Rights returns what the program may do now.
	Rights func() step.Rights
	// Lock takes the lock of this host, which one program holds at a time.
	Lock func() (release func(), err error)

	StateFile *StateFile // nil: past actions are forgotten when the program ends
	AuditLog  AuditLog
	Logger    log.Logger
}

// Reaper evaluates its rules in rounds, and runs a remediation for each decision to act.
type Reaper struct {
	options Options
	metrics *metrics
	history *history

	loading sync.Mutex // held while the rules file is read, so that the last reload wins

	mu       sync.Mutex
	config   *rules.Config // that was read last
	reload   reload
	current  current
	inForce  inForce
	roundDue time.Time     // when the next round must have ended; zero unless Run runs
	reloaded chan struct{} // there is a new config

	// The rest belongs to the goroutine of Run.
	policy     *policy.Policy
	state      policy.State
	scanFailed bool      // in the last round
	lastRound  time.Time // the end of the last round that did not fail
	release    func()    // releases the host lock; nil without it
	lockErr    error     // why the host lock could not be taken
	refused    bool      // the rights of this program are not enough for some rule
	unsaved    bool      // past actions are not in the state file
	saveErr    error     // why it could not be written last time
	running    int       // remediations
	asked      int       // where the next round begins to ask who starts processes again
	results    chan policy.RunResult
}

// New returns a Reaper that does nothing until Run.
func New(o Options) *Reaper {
	r := &Reaper{
		options: o, metrics: newMetrics(), history: &history{}, config: o.Config, reload: reload{ok: true, at: time.Now()},
		reloaded: make(chan struct{}, 1), results: make(chan policy.RunResult),
	}
	r.metrics.isStalled = r.Stalled
	r.metrics.showReload(r.reload)
	r.applyConfig()
	return r
}

// Metrics returns the metrics of the Reaper.
func (r *Reaper) Metrics() prometheus.Collector { return r.metrics }

// Reload replaces the rules by those that load returns, or keeps them if it fails. Cooldowns and
// the budget remain. Running remediations run no further step that the new rules do not allow.
func (r *Reaper) Reload(load func() (*rules.Config, error)) error {
	r.loading.Lock()
	defer r.loading.Unlock()
	config, err := load()
	r.recordReload(config, err)
	if err != nil {
		level.Error(r.options.Logger).Log("msg", "Rules file invalid, keeping the current rules", "err", err)
		return err
	}
	select {
	case r.reloaded <- struct{}{}:
	default: // the loop has not applied the last one yet, and will find this one instead
	}
	return nil
}

func (r *Reaper) recordReload(config *rules.Config, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.reload.ok = err == nil; r.reload.ok {
		r.config, r.reload.at = config, time.Now()
		r.inForce.policy = policy.New(config, policy.Options{Enforce: r.options.Enforce, Own: r.options.Own})
	}
	r.metrics.showReload(r.reload)
}

// Run evaluates the rules until ctx ends, and returns when all remediations have ended. One
// interval lies between the end of a round and the next one: two Views of nearly the same time
// would be one. A reload does not restart the interval, so reloads cannot prevent rounds.
func (r *Reaper) Run(ctx context.Context) error {
	defer r.drain()
	defer r.expectNoRound()
	ended := time.Now().Add(-r.policy.Interval()) // the last round, so that the first one is due now
	next := time.NewTimer(0)
	defer next.Stop()
	for {
		r.expectRound(ended)
		select {
		case <-ctx.Done():
			return nil
		case result := <-r.results:
			r.ended(result)
			continue
		case <-r.reloaded:
			r.applyConfig()
		case <-next.C:
			r.round(ctx)
			ended = time.Now()
		}
		next.Reset(time.Until(ended.Add(r.policy.Interval())))
	}
}

// drain waits for the remediations, which end with ctx, and releases the host lock.
func (r *Reaper) drain() {
	for r.running > 0 {
		r.ended(<-r.results)
	}
	if r.release != nil {
		r.release()
		r.release = nil
	}
}

// applyConfig makes the Policy of the rules that were read last.
func (r *Reaper) applyConfig() {
	r.mu.Lock()
	config := r.config
	r.mu.Unlock()
	impossible := policy.SelfTest(config, r.options.Enforce, r.options.Rights())
	for _, s := range impossible {
		level.Warn(r.options.Logger).Log("msg", "Step cannot be carried out", "rule", s.Rule, "mode", s.Mode, "step", s.Step, "err", s.Err)
	}
	o := policy.Options{Enforce: r.options.Enforce, Own: r.options.Own, Refused: policy.Refused(impossible)}
	r.refused = len(o.Refused) > 0
	if r.lockErr != nil {
		for i := range config.Rules {
			o.Refused[config.Rules[i].Name] = r.lockErr.Error()
		}
	}
	r.policy = policy.New(config, o)
	r.metrics.configure(r.policy)
	r.refresh(time.Now())
}
