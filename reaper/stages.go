package reaper

import (
	"slices"
	"time"

	"closewait_exporter/closewait"
)

// stage is one of the questions on the way from a match to an action. The order is that of
// Decide: the first that is answered no gives the decision its label.
type stage struct {
	name  string
	label Label
	ask   func(*inquiry) bool
	tell  func(*Decision) string // the answer with its numbers, yes or no
}

var stages = []stage{
	{"not protected", LabelProtected, (*inquiry).unprotected, tellProtection},
	{"running", LabelStopped, (*inquiry).runs, tellRunning},
	{"evidence", LabelPending, (*inquiry).evident, tellEvidence},
	{"for", LabelPending, (*inquiry).held, tellHeld},
	{"fds", LabelEnoughFDs, (*inquiry).exhausted, tellFDs},
	{"peer_share", LabelPeerShare, (*inquiry).spread, tellPeers},
	{"no ladder", LabelInProgress, (*inquiry).free, tellLadder},
	{"no cooldown", LabelCooldown, (*inquiry).rested, tellCooldown},
}

// inquiry is the way of one process and one rule through the stages.
type inquiry struct {
	*round
	*memory
	rule     *Rule
	index    int // of the rule
	d        Decision
	evidence []*closewait.Socket
	with     []*memory
	thorough bool // all sockets are looked at even where some of them settle the question
	complete bool // they were
}

// run asks until an answer is no; it is true when none is.
func (q *inquiry) run() bool {
	for i := range stages {
		q.d.stage = i
		if !stages[i].ask(q) {
			q.d.Label = stages[i].label
			return false
		}
	}
	q.d.stage = len(stages)
	q.candidate[q.rule.Mode] = true
	q.d.Evidence = slices.Clone(q.evidence)
	for _, m := range q.with {
		q.d.With = append(q.d.With, &m.Process)
	}
	return true
}

func (q *inquiry) unprotected() bool {
	q.d.Why = q.protected(q.memory)
	return q.d.Why == ""
}

// protected says why a process must not be acted upon, if so.
func (r *round) protected(m *memory) string {
	if !m.judged {
		m.protection, m.judged = r.policy.protection(&m.Process), true
	}
	return m.protection
}

// runs is false for a process that is stopped or traced: it can close nothing, and it has had no
// chance to.
func (q *inquiry) runs() bool { return running(&q.Process) }

func running(p *closewait.Process) bool { return p.State != 'T' && p.State != 't' }

func (q *inquiry) evident() bool {
	if !q.thorough && q.plain() {
		return true
	}
	q.collect()
	if len(q.evidence) >= q.wanted() {
		return true
	}
	q.opinions[q.index].enough = false
	return false
}

// measure finds how young the youngest evidence is, and what moved last.
func (q *inquiry) measure() {
	var moved time.Time
	for _, s := range q.evidence {
		if s.QuietSince.After(moved) {
			moved = s.QuietSince
		}
	}
	if n := len(q.evidence); n > 0 {
		q.d.Age = q.watched(q.evidence[n-1].Since)
		q.d.Quiet = q.watched(moved)
	}
}

// watched is the time since then, as far as the process ran and was looked at.
func (q *inquiry) watched(since time.Time) time.Duration {
	if since.Before(q.awake) {
		since = q.awake
	}
	return q.view.Taken.Sub(since)
}

// cutoff is since when a socket must have been in CLOSE_WAIT, and quiet, to be evidence. No time
// counts in which the process was stopped or nobody looked; the zero time is before all sockets.
func (q *inquiry) cutoff() time.Time {
	if q.watched(time.Time{}) < q.rule.When.Age {
		return time.Time{}
	}
	return q.view.Taken.Add(-q.rule.When.Age)
}

// wanted is never 0: without any evidence nothing is done, whatever a rule says.
func (q *inquiry) wanted() int { return max(q.rule.When.Sockets, 1) }

func (q *inquiry) held() bool {
	if q.complete && len(q.evidence) < q.wanted() {
		return false // asked all the same, to explain
	}
	o := &q.opinions[q.index]
	if since := q.next.began.Add(o.since); !o.enough || since.Before(q.awake) {
		o.enough, o.since = true, q.view.Taken.Sub(q.next.began)
	}
	q.d.HeldFor = q.view.Taken.Sub(q.next.began) - o.since
	return q.d.HeldFor >= q.rule.When.For
}

func (q *inquiry) exhausted() bool { return q.rule.When.FDs.reached(&q.Process) }

// reached is false where it cannot be known.
func (t Threshold) reached(p *closewait.Process) bool {
	if t == (Threshold{}) {
		return true
	}
	ratio, known := p.FDRatio()
	return (t.Count == 0 || p.FDsKnown && p.OpenFDs >= t.Count) && (t.Ratio == 0 || known && ratio >= t.Ratio)
}

func (q *inquiry) free() bool {
	switch q.d.Why = q.next.leashes[q.rule.Mode].on(q.ID, q.group); {
	case q.d.Why != "":
		return false
	case q.candidate[q.rule.Mode]:
		q.d.Why = "an earlier rule acts on the process in this round"
		return false
	}
	return true
}

func (q *inquiry) rested() bool {
	c := q.next.leashes[q.rule.Mode].cooldowns[cooldownKey{q.rule.Name, q.group}]
	q.d.Cooldown, q.d.Relapses = max(c.until.Sub(q.view.Taken), 0), c.relapses
	return q.d.Cooldown == 0
}
