package kernel

import (
	"context"
	"fmt"
	"sync"
	"time"

	"closewait_exporter/kernel/host"
)

// patience bounds calls into the kernel that can hang. Nothing can end such a call: its
// goroutine, and a thread with it, is left behind. At most so many are; then every call is refused.
type patience struct {
	most  int
	limit time.Duration

	mu      sync.Mutex
	hanging int
}

// patiently calls f, and returns without it when it takes longer than permitted or ctx ends. The
// context of f ends then too: what f does after a call that hung it must do only with that alive.
func patiently[T any](ctx context.Context, p *patience, f func(context.Context) (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	var none T
	if !p.left() {
		return none, fmt.Errorf("%w, and %d calls hang already", host.ErrHangs, p.most)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, p.limit, host.ErrHangs)
	defer cancel()
	answered := make(chan answer, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		value, err := f(ctx)
		answered <- answer{value, err}
	}()
	select {
	case a := <-answered:
		return a.value, a.err
	case <-ctx.Done():
		p.abandon(done)
		return none, context.Cause(ctx)
	}
}

func (p *patience) left() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.hanging < p.most
}

// abandon counts a call as hanging until it is done.
func (p *patience) abandon(done <-chan struct{}) {
	p.add(1)
	go func() {
		<-done
		p.add(-1)
	}()
}

func (p *patience) add(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hanging += n
}
