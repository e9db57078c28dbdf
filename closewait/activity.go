package closewait

import (
	"fmt"
	"time"
)

// Activity shows whether a process could run. The totals only grow, so two Activities of a process
// tell what happened in between.
type Activity struct {
	Halted  string        // what keeps the process from running now, such as "frozen by its cgroup"; empty: nothing
	Waiting bool          // some thread is in uninterruptible sleep, or waits for a processor
	Ran     time.Duration // processor time of all threads that live, or another count that grows when one runs
	Cgroup  string        // whose frozen time is known; empty: not known
	Frozen  time.Duration // total time for which Cgroup was frozen
}

// StuckSince reports whether no thread has run since an earlier Activity although some thread has
// something to do. A thread that waits for an event is not stuck.
func (a *Activity) StuckSince(before *Activity) bool { return a.Waiting && a.Ran == before.Ran }

// FrozenSince reports whether the process was frozen at some time since an earlier Activity.
func (a *Activity) FrozenSince(before *Activity) bool {
	return a.Cgroup != "" && a.Cgroup == before.Cgroup && a.Frozen > before.Frozen
}

// UnknownActivity is the Activity of a process for which it could not be read: it must not count as
// one that can run.
func UnknownActivity(err error) Activity {
	return Activity{Halted: fmt.Sprintf("it is not known whether the process can run (%v)", err)}
}
