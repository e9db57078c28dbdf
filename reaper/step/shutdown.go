package step

import (
	"context"

	"closewait_exporter/reaper/document"
)

var shutdown = Kind{Name: "shutdown", Read: func(*document.Section) Step { return Shutdown{} }}

// Shutdown ends the evidence sockets by shutdown(2). Their descriptors stay open.
type Shutdown struct{}

// Kind implements Step.
func (Shutdown) Kind() string { return shutdown.Name }

func (Shutdown) String() string { return shutdown.Name }

// Traits implements Step.
func (Shutdown) Traits() Traits { return Traits{AppliesOnce: true} }

// Permitted implements Step.
func (Shutdown) Permitted(r Rights) error { return r.Shutdown }

// Apply implements Step.
func (Shutdown) Apply(ctx context.Context, t *Target) (Result, error) {
	return cutResult(t.Process.Shutdown(ctx, t.Evidence))
}
