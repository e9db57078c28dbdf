package reaper

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/condition"
	"closewait_exporter/reaper/policy"
	"closewait_exporter/reaper/rules"
	"closewait_exporter/reaper/status"
)

// many returns decisions with one label about the processes first to last.
func many(label policy.Label, first, last int) []policy.Decision {
	r := rule()
	var all []policy.Decision
	for pid := first; pid <= last; pid++ {
		all = append(all, policy.Decision{Rule: &r, Label: label, Findings: condition.Findings{Process: &closewait.Process{ID: closewait.ProcessID{PID: pid}}}})
	}
	return all
}

func TestAHistoryIsBoundedAndKeepsWhatStands(t *testing.T) {
	var h history
	at := func(minute int) time.Time { return epoch.Add(time.Duration(minute) * time.Minute) }
	h.round(many(condition.LabelProtected, 1, 3), at(0))
	h.round(append(many(condition.LabelProtected, 1001, 1100), many(condition.LabelProtected, 2, 2)...), at(1))
	var s status.Status
	h.addTo(&s)
	if len(s.Decisions) != entriesKept || s.Omitted != 101-entriesKept {
		t.Fatalf("%d decisions, %d omitted", len(s.Decisions), s.Omitted)
	}
	h.round(many(condition.LabelProtected, 1001, 1002), at(2))
	h.round(many(condition.LabelProtected, 1001, 1001), at(3))
	h.round(many(condition.LabelProtected, 1001, 1002), at(4))
	s = status.Status{}
	h.addTo(&s)
	got := lines(s.Decisions, epoch)
	want := []string{"4m0s-4m0s leak 1002 protected now", "1m0s-4m0s leak 1001 protected now", "1m0s-2m0s leak 1002 protected"}
	if diff := cmp.Diff(want, got[:len(want)]); diff != "" || len(got) != entriesKept || s.Omitted != 0 {
		t.Errorf("%d decisions, %d omitted (-want +got):\n%s", len(got), s.Omitted, diff)
	}
	for pid := range 2 * entriesKept {
		h.action(&many(policy.LabelAct, pid, pid)[0], pid, "signal TERM", "")
	}
	s = status.Status{}
	h.addTo(&s)
	if len(s.Actions) != entriesKept || s.Actions[0].PID != 2*entriesKept-1 {
		t.Errorf("%d actions, the first about %d", len(s.Actions), s.Actions[0].PID)
	}
}

func TestARoundThatDoesNotCountEndsNoDecision(t *testing.T) {
	var h history
	at := func(minute int) time.Time { return epoch.Add(time.Duration(minute) * time.Minute) }
	unusable := many(policy.LabelIncompleteScan, 1, 1)[0]
	unusable.Process = nil
	h.round(many(condition.LabelProtected, 7, 7), at(0))
	h.unusable(&unusable, rules.Enforce, at(1))
	h.unusable(&unusable, rules.Enforce, at(2))
	var s status.Status
	h.addTo(&s)
	if diff := cmp.Diff([]string{"1m0s-2m0s  0 incomplete_scan now", "0s-0s leak 7 protected now"}, lines(s.Decisions, epoch)); diff != "" {
		t.Errorf("meanwhile (-want +got):\n%s", diff)
	}
	h.round(many(condition.LabelProtected, 7, 7), at(3))
	h.unusable(&unusable, rules.Enforce, at(4))
	s = status.Status{}
	h.addTo(&s)
	want := []string{"4m0s-4m0s  0 incomplete_scan now", "1m0s-2m0s  0 incomplete_scan", "0s-3m0s leak 7 protected now"}
	if diff := cmp.Diff(want, lines(s.Decisions, epoch)); diff != "" {
		t.Errorf("afterwards (-want +got):\n%s", diff)
	}
}
