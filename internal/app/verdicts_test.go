package app

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/diagnose"
)

// listedProcesses are processes whose pids count from 1.
func listedProcesses(n int) (listed []*closewait.Holder) {
	for i := range n {
		listed = append(listed, &closewait.Holder{Process: closewait.Process{ID: closewait.ProcessID{PID: i + 1}}})
	}
	return listed
}

func TestVerdictsAreMadeInTheBackground(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int32
		failure := error(nil)
		const takes = time.Second
		v := &verdicts{life: t.Context(), make: func(_ context.Context, _ *closewait.View, worst []*closewait.Holder) (map[closewait.ProcessID]diagnose.Verdict, error) {
			calls.Add(1)
			fails := failure
			time.Sleep(takes)
			made := map[closewait.ProcessID]diagnose.Verdict{}
			for _, h := range worst {
				made[h.ID] = diagnose.Verdict{Kind: diagnose.NeverCloses}
			}
			return made, fails
		}}
		listed := listedProcesses(2 * maxVerdicts)
		step := func(name string, after time.Duration, wantCalls int32, wantVerdicts int) {
			t.Helper()
			time.Sleep(after)
			start := time.Now()
			got := v.of(nil, listed)
			if time.Since(start) > 0 {
				t.Errorf("%s: it waited for %v", name, time.Since(start))
			}
			synctest.Wait()
			if n := calls.Load(); n != wantCalls || len(got) != wantVerdicts {
				t.Errorf("%s: made %d times, %d verdicts, want %d and %d", name, n, len(got), wantCalls, wantVerdicts)
			}
		}
		step("the first time", 0, 1, 0)
		step("while they are made", takes/2, 1, 0)
		step("when they are made", takes, 1, maxVerdicts)
		step("when they are old", verdictEvery, 2, maxVerdicts)
		failure = errors.New("broken")
		step("when they are old again", verdictEvery+takes, 3, maxVerdicts)
		step("after a failure", 2*takes, 4, maxVerdicts)
		step("when they are too old", verdictMaxAge, 5, 0)
		v.wait()
	})
}

func TestVerdictsThatHangAreNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		var calls atomic.Int32
		v := &verdicts{life: t.Context(), make: func(context.Context, *closewait.View, []*closewait.Holder) (map[closewait.ProcessID]diagnose.Verdict, error) {
			calls.Add(1)
			<-hang
			return nil, nil
		}}
		for range 3 {
			if got := v.of(nil, listedProcesses(1)); got != nil {
				t.Errorf("%v", got)
			}
			time.Sleep(2 * verdictMaxAge)
		}
		if n := calls.Load(); n != 1 {
			t.Errorf("%d goroutines hang, want 1", n)
		}
		close(hang)
		v.wait()
	})
}
