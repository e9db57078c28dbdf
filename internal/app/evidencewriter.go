package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"closewait_exporter/closewait"
	"closewait_exporter/evidence"
	kernelhost "closewait_exporter/kernel/host"
	"closewait_exporter/kernel/trust"
	"closewait_exporter/reaper/rules"
	"closewait_exporter/reaper/step"
	"closewait_exporter/report"
)

const (
	// maxEvidenceViewAge is the maximum age of a View for evidence. A step follows a scan, so a new
	// one would only cost time.
	maxEvidenceViewAge = time.Minute
	// sweepInterval is the time between two searches for evidence that is too old.
	sweepInterval = time.Hour
)

// evidenceWriter writes evidence for the reaper.
type evidenceWriter struct {
	inspect func(context.Context, closewait.ProcessID) (*report.Evidence, error)
	store   *evidence.Store
	writes  *kernelhost.BoundedCalls
}

func newEvidenceWriter(h *host, observer *observer, store *evidence.Store) *evidenceWriter {
	inspect := func(ctx context.Context, id closewait.ProcessID) (*report.Evidence, error) {
		view, err := observer.Recent(ctx, maxEvidenceViewAge)
		if err != nil {
			return nil, err
		}
		return h.evidence(ctx, view, id, observer.history)
	}
	return &evidenceWriter{inspect, store, &kernelhost.BoundedCalls{MaxBlocked: maxHanging, Timeout: step.EvidenceTime}}
}

// write does not wait for a disk or a process that hangs longer than ctx lasts.
func (w *evidenceWriter) write(ctx context.Context, c closewait.EvidenceCase) (file string, err error) {
	e, err := w.inspect(ctx, c.Process)
	if err != nil {
		return "", err
	}
	e.Case = c.Record
	var document bytes.Buffer
	if err := e.JSON(&document); err != nil {
		return "", err
	}
	file, err = kernelhost.CallWithTimeout(ctx, w.writes, func(context.Context) (string, error) {
		return w.store.Write(c.ID, document.Bytes())
	})
	if errors.Is(err, kernelhost.ErrHangs) {
		err = fmt.Errorf("%w: the disk does not answer", closewait.ErrEvidenceLate)
	}
	if err != nil {
		return "", fmt.Errorf("%w (see --reaper.evidence-dir)", err)
	}
	return file, nil
}

// openEvidence opens the directory of --reaper.evidence-dir; nil without the flag.
func openEvidence(o *options) (*evidence.Store, error) {
	if o.serve.evidenceDir == "" {
		return nil, nil
	}
	store, err := evidence.Open(o.serve.evidenceDir, trust.Check)
	if err != nil {
		return nil, fmt.Errorf("--reaper.evidence-dir=%s: %w", o.serve.evidenceDir, err)
	}
	return store, nil
}

// requireEvidenceDir refuses rules with a step evidence if there is no directory for it.
func requireEvidenceDir(config *rules.Config, dir string) error {
	for i := range config.Rules {
		if dir == "" && config.Rules[i].WritesEvidence() {
			return fmt.Errorf("rule %s has the step evidence: give --reaper.evidence-dir=DIR, or remove the step", config.Rules[i].Name)
		}
	}
	return nil
}

// sweepEvidence removes evidence that a crash has left unfinished, and then evidence that is too
// old, until ctx ends.
func sweepEvidence(ctx context.Context, store *evidence.Store, logger log.Logger) {
	err := store.Clean()
	for {
		if err = errors.Join(err, store.Sweep()); err != nil {
			level.Warn(logger).Log("msg", "Cannot remove old evidence", "err", err)
		}
		select {
		case <-time.After(sweepInterval):
			err = nil
		case <-ctx.Done():
			return
		}
	}
}
