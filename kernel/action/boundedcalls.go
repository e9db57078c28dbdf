package action

import (
	"context"
	"fmt"
	"sync"
	"time"

	"closewait_exporter/kernel/host"
)

// boundedCalls bounds calls that the kernel can block. Nothing can end such a call, so it is
// abandoned with its goroutine and thread. While the maximum number of abandoned calls is blocked,
// further calls are refused.
type boundedCalls struct {
	maxBlocked int
	timeout    time.Duration // of each call

	mu      sync.Mutex
	blocked int
}

// callWithTimeout calls f and returns its result. It does not wait for f longer than the timeout
// (host.ErrHangs) or than ctx lasts (the cause of ctx). The context of f ends then too: after a
// system call that can block, f must check the context before it acts.
func callWithTimeout[T any](ctx context.Context, b *boundedCalls, f func(context.Context) (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	var none T
	if !b.available() {
		return none, fmt.Errorf("%w, and %d other calls are blocked", host.ErrHangs, b.maxBlocked)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, b.timeout, host.ErrHangs)
	defer cancel()
	returned := make(chan result, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		value, err := f(ctx)
		returned <- result{value, err}
	}()
	select {
	case r := <-returned:
		return r.value, r.err
	case <-ctx.Done():
		b.abandon(done)
		return none, context.Cause(ctx)
	}
}

func (b *boundedCalls) available() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.blocked < b.maxBlocked
}

// abandon counts a call as blocked until it is done.
func (b *boundedCalls) abandon(done <-chan struct{}) {
	b.add(1)
	go func() {
		<-done
		b.add(-1)
	}()
}

func (b *boundedCalls) add(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.blocked += n
}
