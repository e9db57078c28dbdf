package host

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestACallThatReturnsInTimeIsPassedOn(t *testing.T) {
	b := &BoundedCalls{MaxBlocked: 1, Timeout: time.Minute}
	failure := errors.New("failure")
	n, err := CallWithTimeout(t.Context(), b, func(context.Context) (int, error) { return 3, failure })
	if n != 3 || !errors.Is(err, failure) {
		t.Errorf("%d, %v", n, err)
	}
}

func TestAFewBlockedCallsAreLeftBehindAndMoreAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = 3
		b := &BoundedCalls{MaxBlocked: limit, Timeout: time.Second}
		release := make(chan struct{})
		var begun, late atomic.Int32
		hang := func(ctx context.Context) (int, error) {
			begun.Add(1)
			<-release
			if ctx.Err() != nil {
				late.Add(1)
			}
			return 0, nil
		}
		for range 10 {
			if _, err := CallWithTimeout(t.Context(), b, hang); !errors.Is(err, ErrHangs) {
				t.Errorf("%v, want %v", err, ErrHangs)
			}
		}
		if begun.Load() != limit {
			t.Errorf("%d calls have begun, want %d", begun.Load(), limit)
		}
		close(release)
		synctest.Wait()
		if late.Load() != limit {
			t.Errorf("in %d calls the context has ended, want %d", late.Load(), limit)
		}
		if _, err := CallWithTimeout(t.Context(), b, hang); err != nil {
			t.Errorf("after they have returned: %v", err)
		}
	})
}

func TestABlockedCallEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reason := errors.New("the exporter ends")
		ctx, cancel := context.WithCancelCause(t.Context())
		release := make(chan struct{})
		defer close(release)
		time.AfterFunc(time.Millisecond, func() { cancel(reason) })
		_, err := CallWithTimeout(ctx, &BoundedCalls{MaxBlocked: 1, Timeout: time.Hour}, func(context.Context) (int, error) {
			<-release
			return 0, nil
		})
		if !errors.Is(err, reason) {
			t.Errorf("%v, want %v", err, reason)
		}
	})
}
