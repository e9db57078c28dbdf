package reaper

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"closewait_exporter/reaper/status"
)

// lines formats entries without their reasons, such as "1m0s-3m0s leak 7 cooldown now".
func lines(entries []status.Entry, began time.Time) []string {
	var all []string
	for _, n := range entries {
		text := fmt.Sprintf("%s-%s %s %d %s", n.Since.Sub(began), n.Until.Sub(began), n.Rule, n.PID, n.What)
		if n.Current {
			text += " now"
		}
		all = append(all, text)
	}
	return all
}

func TestAStatusShowsWhatWasDecidedAndDone(t *testing.T) {
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
		if len(s.Decisions) > 0 && !strings.Contains(s.Decisions[0].Why, "left, 0 relapses") {
			t.Errorf("the reason is %q", s.Decisions[0].Why)
		}
		want = []string{
			fmt.Sprintf("1m0s-1m0s leak %d signal KILL", pid),
			fmt.Sprintf("1m0s-1m0s leak %d signal TERM", pid),
		}
		if diff := cmp.Diff(want, lines(s.Actions, began)); diff != "" {
			t.Errorf("actions (-want +got):\n%s", diff)
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

func TestAStatusShowsWhatKeepsRulesFromActing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRunning(t, rule())
		r.lockErr = errors.New("somebody else does")
		r.leak(alice)
		r.run()
		s := r.Status()
		if got := strings.Join(s.Suspended, "; "); !strings.Contains(got, "another reaper holds the lock of this host") {
			t.Errorf("suspended: %q", got)
		}
		if len(s.Decisions) != 1 || s.Decisions[0].PID != 0 || s.Decisions[0].Why != "somebody else does" {
			t.Errorf("decisions: %+v", s.Decisions)
		}
		r.halt()
	})
}

func TestEverySuspensionHasWords(t *testing.T) {
	for _, s := range suspensions {
		if s.text == "" {
			t.Errorf("no words for %s", s.reason)
		}
	}
}
