package app

import (
	"context"
	"sync"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/diagnose"
	"closewait_exporter/kernel/inspect"
)

const (
	// maxVerdicts is the number of processes, worst first, that get a verdict beside their row.
	maxVerdicts = 5
	// verdictEvery is the age from which verdicts are made again.
	verdictEvery = 10 * time.Second
	// verdictMaxAge is the age from which verdicts are not shown. They get that old if making them
	// again hangs, or if they were not asked for.
	verdictMaxAge = time.Minute
	// verdictTimeout bounds how long it takes to make them.
	verdictTimeout = 5 * time.Second
)

// verdicts keeps the latest verdicts about the worst processes. They are made in the background,
// and only while they are asked for, so that who asks never waits.
type verdicts struct {
	life context.Context
	make func(context.Context, *closewait.View, []*closewait.Holder) (map[closewait.ProcessID]diagnose.Verdict, error)

	mu      sync.Mutex
	running sync.WaitGroup
	busy    bool
	made    time.Time
	latest  map[closewait.ProcessID]diagnose.Verdict
}

func newVerdicts(life context.Context, h *host) *verdicts {
	return &verdicts{life: life, make: h.diagnoseQuickly}
}

// of returns what is known about processes, of which the worst come first.
func (v *verdicts) of(view *closewait.View, listed []*closewait.Holder) map[closewait.ProcessID]diagnose.Verdict {
	v.mu.Lock()
	defer v.mu.Unlock()
	age := time.Since(v.made)
	if len(listed) > 0 && age >= verdictEvery && !v.busy && v.life.Err() == nil {
		v.busy = true
		v.running.Go(func() { v.renew(view, listed[:min(len(listed), maxVerdicts)]) })
	}
	if age >= verdictMaxAge {
		return nil
	}
	return v.latest
}

func (v *verdicts) renew(view *closewait.View, worst []*closewait.Holder) {
	ctx, cancel := context.WithTimeout(v.life, verdictTimeout)
	defer cancel()
	made, err := v.make(ctx, view, worst)
	v.mu.Lock()
	defer v.mu.Unlock()
	v.busy = false
	if err == nil {
		v.latest, v.made = made, time.Now()
	}
}

// wait returns when nothing is made any more.
func (v *verdicts) wait() { v.running.Wait() }

// diagnoseQuickly makes the verdicts that need nothing that can hang. It is for processes of a View
// that was taken a moment ago.
func (h *host) diagnoseQuickly(ctx context.Context, view *closewait.View, holders []*closewait.Holder) (map[closewait.ProcessID]diagnose.Verdict, error) {
	var processes []*closewait.Process
	for _, holder := range holders {
		processes = append(processes, &holder.Process)
	}
	reader := &inspect.Reader{Host: h.proc, Workers: h.actions.Workers}
	facts, err := reader.ReadQuickly(ctx, processes)
	if err != nil {
		return nil, err
	}
	made := map[closewait.ProcessID]diagnose.Verdict{}
	for _, holder := range holders {
		f := facts[holder.ID]
		if f == nil {
			continue
		}
		f.Holder, f.Taken = holder, view.Taken
		f.Halted, _ = h.halted(holder.ID) // without it there is a verdict too
		made[holder.ID] = diagnose.Diagnose(f)
	}
	return made, nil
}
