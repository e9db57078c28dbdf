package reaper

import (
	"bytes"
	"context"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kit/log"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/rules"
	"closewait_exporter/reaper/step"
)

// runningReaper is a Reaper that runs in a bubble, on a fake host.
type runningReaper struct {
	*fakeHost
	*Reaper
	t       *testing.T
	options Options
	audit   *memoryLog
	log     bytes.Buffer
	locks   int   // held
	lockErr error // why the lock cannot be acquired
	stop    func()
	ended   chan error
}

// newRunning returns a Reaper with these rules. run starts it.
func newRunning(t *testing.T, list ...rules.Rule) *runningReaper {
	r := &runningReaper{t: t, fakeHost: &fakeHost{on: map[string]func(*fakeProcess) error{}}, audit: &memoryLog{room: -1}}
	started := time.Now()
	r.options = Options{
		Config: config(list...), Enforce: true,
		Observe:   r.Observe,
		Command:   func(context.Context, *closewait.Process) (string, error) { return "server --leak", nil },
		Activity:  r.Activity,
		Executors: [2]step.Executor{rules.DryRun: step.DryRunExecutor{Executor: r.fakeHost}, rules.Enforce: r.fakeHost},
		Rights:    func() step.Rights { return step.Rights{RunGuard: func([]string) error { return nil }} },
		Lock:      r.lock,
		StateFile: NewStateFile(filepath.Join(t.TempDir(), "state"), func() (closewait.Boot, error) {
			return closewait.Boot{ID: "b00t", Uptime: time.Hour + time.Since(started)}, nil
		}),
		AuditLog: r.audit,
		Logger:   log.NewLogfmtLogger(log.NewSyncWriter(&r.log)),
	}
	return r
}

func (r *runningReaper) lock() (func(), error) {
	r.fakeHost.mu.Lock()
	defer r.fakeHost.mu.Unlock()
	if r.lockErr != nil {
		return nil, r.lockErr
	}
	r.locks++
	return func() { r.locks-- }, nil
}

func (r *runningReaper) run() {
	ctx, cancel := context.WithCancel(context.Background())
	r.stop, r.ended, r.Reaper = cancel, make(chan error), New(r.options)
	go func() { r.ended <- r.Run(ctx) }()
	synctest.Wait()
}

// halt ends the Reaper and waits for it.
func (r *runningReaper) halt() {
	r.t.Helper()
	r.stop()
	if err := <-r.ended; err != nil {
		r.t.Error(err)
	}
	if r.locks != 0 {
		r.t.Errorf("%d locks are still held", r.locks)
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

func (r *runningReaper) wantActions(want string) {
	r.t.Helper()
	r.fakeHost.mu.Lock()
	defer r.fakeHost.mu.Unlock()
	if got := strings.Join(r.actions, ", "); got != want {
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
