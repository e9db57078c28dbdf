package reaper

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kit/log"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"closewait_exporter/closewait"
)

// runningReaper is a Reaper that runs in a bubble, on a fake host.
type runningReaper struct {
	*fakeHost
	*Reaper
	t       *testing.T
	options Options
	journal *ledger
	log     bytes.Buffer
	claims  int   // that are held
	claimed error // why there is none to be had
	stop    func()
	ended   chan error
}

// newRunning makes a Reaper of rules; run starts it.
func newRunning(t *testing.T, rules ...Rule) *runningReaper {
	r := &runningReaper{t: t, fakeHost: &fakeHost{on: map[string]func(*fakeProcess) error{}}, journal: &ledger{room: -1}}
	started := time.Now()
	r.options = Options{
		Config: config(rules...), Enforce: true,
		Observe:   r.Observe,
		Command:   func(context.Context, *closewait.Process) (string, error) { return "server --leak", nil },
		Hands:     [2]Hands{DryRun: DryHands{r.fakeHost, r.fakeHost}, Enforce: r.fakeHost},
		Permitted: func(*Step) error { return nil },
		Claim:     r.takeClaim,
		StateFile: NewStateFile(filepath.Join(t.TempDir(), "state"), func() (Boot, error) {
			return Boot{ID: "b00t", Uptime: time.Hour + time.Since(started)}, nil
		}),
		Journal: r.journal,
		Logger:  log.NewLogfmtLogger(log.NewSyncWriter(&r.log)),
	}
	return r
}

func (r *runningReaper) takeClaim() (func(), error) {
	if r.claimed != nil {
		return nil, r.claimed
	}
	r.claims++
	return func() { r.claims-- }, nil
}

func (r *runningReaper) run() {
	ctx, cancel := context.WithCancel(context.Background())
	r.stop, r.ended, r.Reaper = cancel, make(chan error), New(r.options)
	go func() { r.ended <- r.Reaper.Run(ctx) }()
	synctest.Wait()
}

// halt ends the Reaper and waits for it.
func (r *runningReaper) halt() {
	r.t.Helper()
	r.stop()
	if err := <-r.ended; err != nil {
		r.t.Error(err)
	}
	if r.claims != 0 {
		r.t.Errorf("%d claims are still held", r.claims)
	}
}

// after lets time pass.
func after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// leak makes a process that has leaked two sockets for an hour.
func (r *runningReaper) leak(id closewait.ProcessID) *fakeProcess {
	r.fakeHost.mu.Lock()
	defer r.fakeHost.mu.Unlock()
	return r.add(holder(id, sockets(2, uint64(100*id.PID), time.Since(epoch)-time.Hour)))
}

func (r *runningReaper) wantDeeds(want string) {
	r.t.Helper()
	r.fakeHost.mu.Lock()
	defer r.fakeHost.mu.Unlock()
	if got := strings.Join(r.deeds, ", "); got != want {
		r.t.Errorf("done: %q, want %q\n%s", got, want, r.log.String())
	}
}

// wantMetric compares one sample; labels are given as name=value.
func (r *runningReaper) wantMetric(want float64, name string, labels ...string) {
	r.t.Helper()
	if got, found := sample(r.t, r.Metrics(), name, labels...); !found || got != want {
		r.t.Errorf("%s%v is %v (there: %t), want %v\n%s", name, labels, got, found, want, r.log.String())
	}
}

func sample(t *testing.T, c prometheus.Collector, name string, labels ...string) (float64, bool) {
	t.Helper()
	for _, f := range gather(t, c) {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && hasLabels(m, labels) {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue(), true
			}
		}
	}
	return 0, false
}

func gather(t *testing.T, c prometheus.Collector) []*dto.MetricFamily {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(c)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	return families
}

func hasLabels(m *dto.Metric, labels []string) bool {
	left := len(labels)
	for _, pair := range m.GetLabel() {
		for _, l := range labels {
			if l == pair.GetName()+"="+pair.GetValue() {
				left--
			}
		}
	}
	return left == 0
}

func TestALeakIsEndedAndCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRunning(t, rule())
		r.on["signal TERM"] = exits
		r.leak(alice)
		r.run()
		r.wantDeeds("")
		r.wantMetric(0, "closewait_reaper_actions_total", "rule=leak", "action=signal", "mode=enforce")
		after(time.Minute)
		r.wantDeeds("signal TERM")
		r.wantMetric(1, "closewait_reaper_info", "mode=enforce")
		r.wantMetric(2, "closewait_reaper_rounds_total")
		r.wantMetric(0, "closewait_reaper_round_failures_total")
		r.wantMetric(float64(time.Now().Unix()), "closewait_reaper_last_round_timestamp_seconds")
		r.wantMetric(1, "closewait_reaper_matched_processes", "rule=leak")
		r.wantMetric(1, "closewait_reaper_decisions_total", "rule=leak", "decision=pending")
		r.wantMetric(1, "closewait_reaper_decisions_total", "rule=leak", "decision=act")
		r.wantMetric(1, "closewait_reaper_actions_total", "rule=leak", "action=signal", "mode=enforce")
		r.wantMetric(0, "closewait_reaper_action_failures_total", "rule=leak", "action=signal", "mode=enforce")
		r.wantMetric(1, "closewait_reaper_reaped_total", "rule=leak", "result=terminated")
		r.wantMetric(2, "closewait_reaper_released_sockets_total", "rule=leak")
		r.wantMetric(100, "closewait_reaper_released_fds_total", "rule=leak")
		r.wantMetric(2, "closewait_reaper_budget_remaining")
		after(9 * time.Minute)
		r.wantMetric(11, "closewait_reaper_rounds_total")
		r.wantMetric(0, "closewait_reaper_matched_processes", "rule=leak")
		r.halt()
	})
}

func TestDryRunCountsWhatItWouldDoAndReapsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRunning(t, rule())
		r.options.Enforce = false
		r.claimed = errors.New("dry run needs no claim")
		r.leak(alice)
		r.run()
		after(time.Minute)
		r.wantDeeds("")
		r.wantMetric(1, "closewait_reaper_info", "mode=dry_run")
		r.wantMetric(1, "closewait_reaper_decisions_total", "rule=leak", "decision=dry_run")
		r.wantMetric(0, "closewait_reaper_decisions_total", "rule=leak", "decision=act")
		r.wantMetric(2, "closewait_reaper_actions_total", "rule=leak", "action=signal", "mode=dry_run")
		r.wantMetric(0, "closewait_reaper_reaped_total", "rule=leak", "result=killed")
		r.wantMetric(0, "closewait_reaper_suspended", "reason=claimed")
		after(time.Minute)
		r.wantMetric(1, "closewait_reaper_decisions_total", "rule=leak", "decision=cooldown")
		r.halt()
	})
}

func TestNothingIsDoneWhileNobodyCanLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRunning(t, rule())
		r.leak(alice)
		r.blind = errors.New("cannot list processes")
		r.run()
		after(time.Minute)
		r.wantMetric(2, "closewait_reaper_round_failures_total")
		r.wantMetric(1, "closewait_reaper_suspended", "reason=scan_failed")
		r.wantMetric(0, "closewait_reaper_last_round_timestamp_seconds")
		r.fakeHost.mu.Lock()
		r.blind = nil
		r.fakeHost.mu.Unlock()
		after(time.Minute)
		r.wantMetric(0, "closewait_reaper_suspended", "reason=scan_failed")
		r.wantDeeds("")
		r.halt()
	})
}

func TestAGapCausesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRunning(t, rule())
		r.run()
		after(time.Minute)
		r.leak(alice)
		r.onLook = func() { time.Sleep(10 * time.Minute); r.onLook = nil } // as SIGSTOP does
		after(11 * time.Minute)
		r.wantMetric(1, "closewait_reaper_decisions_total", "rule=leak", "decision=gap")
		r.wantMetric(1, "closewait_reaper_suspended", "reason=gap")
		r.wantDeeds("")
		after(time.Minute - time.Second)
		r.wantDeeds("")
		r.halt()
	})
}

func TestTheReaperEndsInTheMiddleOfALadder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRunning(t, rule())
		r.leak(alice)
		r.run()
		after(time.Minute + 5*time.Second)
		r.wantDeeds("signal TERM")
		r.halt()
		after(time.Hour)
		r.wantDeeds("signal TERM")
		r.wantMetric(1, "closewait_reaper_reaped_total", "rule=leak", "result=aborted")
		if got := r.processes[0].grips; got != 0 {
			t.Errorf("the process is held on to %d times", got)
		}
	})
}

func TestARestartDoesNotRenewTheBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRunning(t, rule())
		r.options.Config.Limits.Actions = 1
		r.leak(alice)
		r.leak(bob)
		r.run()
		after(time.Minute)
		for range 3 {
			r.halt()
			r.run()
			after(time.Minute)
		}
		r.wantDeeds("signal TERM")
		r.wantMetric(0, "closewait_reaper_budget_remaining")
		r.wantMetric(1, "closewait_reaper_decisions_total", "rule=leak", "decision=cooldown")
		r.wantMetric(1, "closewait_reaper_decisions_total", "rule=leak", "decision=budget")
		r.halt()
	})
}

func TestWithoutAStateFileThatCanBeUsedThereIsNoBudget(t *testing.T) {
	scenarios := map[string]func(*runningReaper) *failingDisk{
		"it cannot be written from the start": func(r *runningReaper) *failingDisk { return &failingDisk{failure: errors.New("disk full")} },
		"the disk is full when something is to be done": func(r *runningReaper) *failingDisk {
			return &failingDisk{left: 6, failure: errors.New("disk full")}
		},
	}
	for name, disk := range scenarios {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRunning(t, rule())
				failing := disk(r)
				r.options.StateFile.disk = failing
				r.leak(alice)
				r.run()
				after(5 * time.Minute)
				r.wantDeeds("")
				r.wantMetric(5, "closewait_reaper_decisions_total", "rule=leak", "decision=budget")
				r.wantMetric(0, "closewait_reaper_decisions_total", "rule=leak", "decision=act")
				r.wantMetric(0, "closewait_reaper_budget_remaining")
				r.wantMetric(1, "closewait_reaper_suspended", "reason=state_file")
				failing.left = 1 << 30
				after(9 * time.Minute)
				r.wantDeeds("")
				after(2 * time.Minute)
				r.wantDeeds("signal TERM, signal KILL")
				r.halt()
			})
		})
	}
}

func TestOneReaperActsOnAHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRunning(t, rule())
		r.claimed = errors.New("another reaper acts on this host")
		r.leak(alice)
		r.run()
		after(5 * time.Minute)
		r.wantDeeds("")
		r.wantMetric(1, "closewait_reaper_suspended", "reason=claimed")
		r.wantMetric(6, "closewait_reaper_decisions_total", "rule=leak", "decision=suspended")
		r.claimed = nil
		after(time.Minute)
		r.wantMetric(0, "closewait_reaper_suspended", "reason=claimed")
		r.wantDeeds("signal TERM")
		r.halt()
	})
}

func TestReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRunning(t, rule(func(r *Rule) { r.Steps[0].Wait = time.Hour }))
		r.leak(alice)
		r.run()
		after(time.Minute)
		r.wantDeeds("signal TERM")
		started := time.Now()

		after(time.Minute)
		if err := r.Reload(func() (*Config, error) { return nil, errors.New("line 3: unknown key") }); err == nil {
			t.Error("a bad file was taken")
		}
		r.wantMetric(0, "closewait_config_last_reload_successful")
		r.wantMetric(float64(started.Add(-time.Minute).Unix()), "closewait_config_last_reload_success_timestamp_seconds")
		after(time.Minute)
		r.wantMetric(2, "closewait_reaper_decisions_total", "rule=leak", "decision=in_progress")

		fresh := config(rule(func(r *Rule) { r.Name = "fresh" }), rule())
		fresh.Interval = time.Second
		if err := r.Reload(func() (*Config, error) { return fresh, nil }); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		r.wantMetric(1, "closewait_config_last_reload_successful")
		r.wantMetric(float64(time.Now().Unix()), "closewait_config_last_reload_success_timestamp_seconds")
		r.wantMetric(0, "closewait_reaper_reaped_total", "rule=fresh", "result=killed")
		r.leak(bob)
		after(10 * time.Second)
		r.wantMetric(19, "closewait_reaper_decisions_total", "rule=fresh", "decision=in_progress")
		r.wantMetric(22, "closewait_reaper_decisions_total", "rule=leak", "decision=in_progress")
		r.halt()
	})
}

func TestARuleThatCannotBeCarriedOutIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cut := rule(func(r *Rule) { r.Name, r.Steps = "cut", []Step{{Kind: StepDestroy}} })
		trial := rule(func(r *Rule) { r.Name, r.Steps, r.Mode = "trial", []Step{{Kind: StepDestroy}}, DryRun })
		r := newRunning(t, cut, trial, rule())
		r.options.Permitted = func(s *Step) error {
			if s.Kind == StepDestroy {
				return errors.New("CAP_NET_ADMIN is missing")
			}
			return nil
		}
		r.leak(alice)
		r.run()
		after(time.Minute)
		r.wantDeeds("signal TERM")
		r.wantMetric(2, "closewait_reaper_decisions_total", "rule=cut", "decision=suspended")
		r.wantMetric(1, "closewait_reaper_decisions_total", "rule=trial", "decision=dry_run")
		r.wantMetric(1, "closewait_reaper_suspended", "reason=refused")
		r.halt()
	})
}

func TestCommandLinesAreReadWhenARuleAsksForThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRunning(t, rule(func(r *Rule) { r.Match.Command = anchored(".* --leak") }))
		reads := 0
		r.options.Command = func(context.Context, *closewait.Process) (string, error) {
			if reads++; reads == 1 {
				return "", errors.New("it hangs")
			}
			return "server --leak", nil
		}
		r.on["signal TERM"] = exits
		r.leak(alice)
		r.run()
		r.wantMetric(1, "closewait_reaper_decisions_total", "rule=leak", "decision=incomplete_scan")
		after(2 * time.Minute)
		r.wantDeeds("signal TERM")
		if reads != 2 {
			t.Errorf("%d reads, want one that failed and one that did not", reads)
		}
		r.halt()
	})
}
