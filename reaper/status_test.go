package reaper

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/status"
)

// lines are notes without their reasons, such as "1m0s-3m0s leak 7 cooldown now".
func lines(notes []status.Entry, began time.Time) []string {
	var all []string
	for _, n := range notes {
		text := fmt.Sprintf("%s-%s %s %d %s", n.Since.Sub(began), n.Until.Sub(began), n.Rule, n.PID, n.What)
		if n.Current {
			text += " now"
		}
		all = append(all, text)
	}
	return all
}

func TestAStatusTellsWhatWasDecidedAndDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		r := newRunning(t, rule())
		r.options.Enforce = false
		pid := r.leak(alice).process.ID.PID
		r.run()
		after(5 * time.Minute)
		s := r.Status()
		want := []string{
			fmt.Sprintf("2m0s-5m0s leak %d cooldown now", pid),
			fmt.Sprintf("1m0s-1m0s leak %d dry_run", pid),
			fmt.Sprintf("0s-0s leak %d pending", pid),
		}
		if diff := cmp.Diff(want, lines(s.Decisions, began)); diff != "" {
			t.Errorf("decisions (-want +got):\n%s", diff)
		}
		if len(s.Decisions) > 0 && !strings.Contains(s.Decisions[0].Why, "cooldown for another") {
			t.Errorf("the reason is %q", s.Decisions[0].Why)
		}
		want = []string{
			fmt.Sprintf("1m0s-1m0s leak %d killed", pid),
			fmt.Sprintf("1m0s-1m0s leak %d signal KILL", pid),
			fmt.Sprintf("1m0s-1m0s leak %d signal TERM", pid),
		}
		if diff := cmp.Diff(want, lines(s.Actions, began)); diff != "" {
			t.Errorf("deeds (-want +got):\n%s", diff)
		}
		if s.Enforcing || s.BudgetLeft != s.Budget-1 || !s.LastRound.Equal(time.Now()) || !s.Reloaded || len(s.Suspended) > 0 {
			t.Errorf("status %+v", s)
		}
		if diff := cmp.Diff([]status.Rule{{Name: "leak", Mode: "dry_run", Matched: 1}}, s.Rules); diff != "" {
			t.Errorf("rules (-want +got):\n%s", diff)
		}
		r.halt()
	})
}

func TestAStatusTellsWhatKeepsRulesFromActing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRunning(t, rule())
		r.claimed = errors.New("somebody else does")
		r.leak(alice)
		r.run()
		s := r.Status()
		if got := strings.Join(s.Suspended, "; "); !strings.Contains(got, "another reaper acts on this host") {
			t.Errorf("suspended: %q", got)
		}
		if len(s.Decisions) != 1 || s.Decisions[0].PID != 0 || s.Decisions[0].Why != "somebody else does" {
			t.Errorf("decisions: %+v", s.Decisions)
		}
		r.halt()
	})
}

func TestEverySuspensionHasWords(t *testing.T) {
	for _, reason := range suspensions {
		if suspensionWords[reason] == "" {
			t.Errorf("no words for %s", reason)
		}
	}
}

// many are decisions with a label about processes first to last.
func many(label Label, first, last int) []Decision {
	r := rule()
	var all []Decision
	for pid := first; pid <= last; pid++ {
		all = append(all, Decision{Rule: &r, Label: label, Process: &closewait.Process{ID: closewait.ProcessID{PID: pid}}})
	}
	return all
}

func TestADiaryIsBoundedAndKeepsWhatStands(t *testing.T) {
	var d diary
	at := func(minute int) time.Time { return epoch.Add(time.Duration(minute) * time.Minute) }
	d.round(many(LabelProtected, 1, 3), nil, at(0))
	d.round(append(many(LabelProtected, 1001, 1100), many(LabelProtected, 2, 2)...), nil, at(1))
	var s status.Status
	d.tell(&s)
	if len(s.Decisions) != notesKept || s.Omitted != 101-notesKept {
		t.Fatalf("%d decisions, %d omitted", len(s.Decisions), s.Omitted)
	}
	d.round(many(LabelProtected, 1001, 1002), nil, at(2))
	d.round(many(LabelProtected, 1001, 1001), nil, at(3))
	d.round(many(LabelProtected, 1001, 1002), nil, at(4))
	s = status.Status{}
	d.tell(&s)
	got := lines(s.Decisions, epoch)
	want := []string{"4m0s-4m0s leak 1002 protected now", "1m0s-4m0s leak 1001 protected now", "1m0s-2m0s leak 1002 protected"}
	if diff := cmp.Diff(want, got[:len(want)]); diff != "" || len(got) != notesKept || s.Omitted != 0 {
		t.Errorf("%d decisions, %d omitted (-want +got):\n%s", len(got), s.Omitted, diff)
	}
	for pid := range 2 * notesKept {
		d.deed(&many(LabelAct, pid, pid)[0], pid, "signal TERM", "")
	}
	s = status.Status{}
	d.tell(&s)
	if len(s.Actions) != notesKept || s.Actions[0].PID != 2*notesKept-1 {
		t.Errorf("%d deeds, the first about %d", len(s.Actions), s.Actions[0].PID)
	}
}

func TestARoundThatDoesNotCountEndsNoDecision(t *testing.T) {
	var d diary
	at := func(minute int) time.Time { return epoch.Add(time.Duration(minute) * time.Minute) }
	blind := many(LabelLowCoverage, 1, 1)[0]
	blind.Process = nil
	d.round(many(LabelProtected, 7, 7), nil, at(0))
	d.void(&blind, at(1))
	d.void(&blind, at(2))
	var s status.Status
	d.tell(&s)
	if diff := cmp.Diff([]string{"1m0s-2m0s  0 low_coverage now", "0s-0s leak 7 protected now"}, lines(s.Decisions, epoch)); diff != "" {
		t.Errorf("meanwhile (-want +got):\n%s", diff)
	}
	d.round(many(LabelProtected, 7, 7), nil, at(3))
	d.void(&blind, at(4))
	s = status.Status{}
	d.tell(&s)
	want := []string{"4m0s-4m0s  0 low_coverage now", "1m0s-2m0s  0 low_coverage", "0s-3m0s leak 7 protected now"}
	if diff := cmp.Diff(want, lines(s.Decisions, epoch)); diff != "" {
		t.Errorf("afterwards (-want +got):\n%s", diff)
	}
}
