package step

import (
	"context"

	"closewait_exporter/reaper/document"
)

var threadDump = Kind{Name: "thread_dump", Read: func(*document.Section) Step { return ThreadDump{} }}

// ThreadDump sends SIGQUIT to a process that is verified to be a JVM.
type ThreadDump struct{}

// Kind implements Step.
func (ThreadDump) Kind() string { return threadDump.Name }

func (ThreadDump) String() string { return threadDump.Name }

// Traits implements Step.
func (ThreadDump) Traits() Traits { return Traits{NeedsLife: true} }

// Permitted implements Step.
func (ThreadDump) Permitted(r Rights) error { return r.ThreadDump }

// Apply implements Step.
func (ThreadDump) Apply(ctx context.Context, t *Target) (Result, error) {
	return Result{}, t.Process.ThreadDump(ctx)
}
