package step

import (
	"context"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/document"
)

// EvidenceTime is the time after which the remedy no longer waits for the evidence.
const EvidenceTime = 10 * time.Second

var evidence = Kind{Name: "evidence", Read: func(*document.Section) Step { return Evidence{} }}

// Evidence writes down what is known about the process, before a remedy destroys it.
type Evidence struct{}

// Kind implements Step.
func (Evidence) Kind() string { return evidence.Name }

func (Evidence) String() string { return evidence.Name }

// Traits implements Step.
func (Evidence) Traits() Traits { return Traits{Observes: true, AppliesOnce: true} }

// Permitted implements Step. What cannot be read is missing in the file, which says so.
func (Evidence) Permitted(Rights) error { return nil }

// Apply implements Step.
func (Evidence) Apply(ctx context.Context, t *Target) (Result, error) {
	c, err := t.Case()
	if err != nil {
		return Result{}, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, EvidenceTime, closewait.ErrEvidenceLate)
	defer cancel()
	file, err := t.Executor.WriteEvidence(ctx, c)
	return Result{Detail: file, File: file}, err
}
