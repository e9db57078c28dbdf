package step

import (
	"context"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/document"
)

var destroy = Kind{Name: "destroy", Read: func(*document.Section) Step { return Destroy{} }}

// Destroy resets the evidence sockets (SOCK_DESTROY). Their descriptors stay open.
type Destroy struct{}

// Kind implements Step.
func (Destroy) Kind() string { return destroy.Name }

func (Destroy) String() string { return destroy.Name }

// Traits implements Step.
func (Destroy) Traits() Traits { return Traits{AppliesOnce: true} }

// Permitted implements Step.
func (Destroy) Permitted(r Rights) error { return r.Destroy }

// Apply implements Step.
func (Destroy) Apply(ctx context.Context, t *Target) (Result, error) {
	return cutResult(t.Process.Destroy(ctx, t.Evidence))
}

// cutResult is the result of ending connections: a failure only if none was ended.
func cutResult(counts closewait.SocketCounts, err error) (Result, error) {
	if counts.Done > 0 {
		err = nil
	}
	return Result{Detail: counts.String(), Idle: counts.Done == 0, Cut: counts.Done > 0}, err
}
