package reaper

import "time"

// stalledGaps is the number of gaps after which a missing round means that the loop hangs. A round
// that ends takes less than two: an interval of waiting, a scan of at most one gap, and an interval
// of reading command lines and asking who starts processes again.
const stalledGaps = 2

// Stalled reports whether rounds have stopped although Run runs: something hangs, and the reaper
// makes no decisions. It is safe for concurrent use.
func (r *Reaper) Stalled() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.roundDue.IsZero() && time.Now().After(r.roundDue)
}

// expectRound sets the time by which the next round must have ended, from the end of the last one.
func (r *Reaper) expectRound(ended time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.roundDue = ended.Add(stalledGaps * r.policy.MaxGap())
}

func (r *Reaper) expectNoRound() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.roundDue = time.Time{}
}
