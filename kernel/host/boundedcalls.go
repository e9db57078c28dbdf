package host

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// BoundedCalls bounds calls that the kernel can block. Nothing can end such a call, so it is
// abandoned with its goroutine and thread. While the maximum number of abandoned calls is blocked,
// further calls are refused.
type BoundedCalls struct {
	MaxBlocked int
	Timeout    time.Duration // of each call

	mu      sync.Mutex
	blocked int
}

// CallWithTimeout calls f and returns its result. It does not wait for f longer than the timeout
// (ErrHangs) or than ctx lasts (the cause of ctx). The context of f ends then too: after a
// system call that can block, f must check the context before it acts.
func CallWithTimeout[T any](ctx context.Context, b *BoundedCalls, f func(context.Context) (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	var none T
	if !b.available() {
		return none, fmt.Errorf("%w, and %d other calls are blocked", ErrHangs, b.MaxBlocked)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, b.Timeout, ErrHangs)
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

func (b *BoundedCalls) available() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.blocked < b.MaxBlocked
}

// abandon counts a call as blocked until it is done.
func (b *BoundedCalls) abandon(done <-chan struct{}) {
	b.add(1)
	go func() {
		<-done
		b.add(-1)
	}()
}

func (b *BoundedCalls) add(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.blocked += n
}
