package policy

import (
	"testing"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/rules"
)

// settling is a policy with a brake that settles for two minutes.
func settling(list ...rules.Rule) *Policy {
	c := config(list...)
	c.Fleet.Brake = &rules.Brake{Below: 5, Settle: 2 * time.Minute}
	return New(c, Options{Enforce: true})
}

func TestACandidateIsPublishedBeforeTheBrakeIsAsked(t *testing.T) {
	leak := holder(alice, sockets(2, 1, hour))
	healthy := holder(alice, sockets(1, 1, hour))
	gap := 10 * time.Minute
	for name, c := range map[string]struct {
		views []*closewait.View
		want  []string // decision and number of candidates of each round
	}{
		"for as long as it settles": {
			[]*closewait.View{view(0, leak), view(time.Minute, leak), view(2*time.Minute, leak), view(3*time.Minute, leak)},
			[]string{"pending 0", "brake 1", "brake 1", "act 1"},
		},
		"again after an interruption": {
			[]*closewait.View{
				view(0, leak), view(time.Minute, leak), view(2*time.Minute, healthy), view(3*time.Minute, leak), view(4*time.Minute, leak),
				view(5*time.Minute, leak), view(6*time.Minute, leak),
			},
			[]string{"pending 0", "brake 1", "pending 0", "brake 1", "brake 1", "act 1", "in_progress 1"},
		},
		"again after a gap": {
			[]*closewait.View{
				view(0, leak), view(time.Minute, leak), view(2*time.Minute, leak), view(gap, leak), view(gap+time.Minute, leak), view(gap+2*time.Minute, leak),
				view(gap+3*time.Minute, leak), view(gap+4*time.Minute, leak),
			},
			[]string{"pending 0", "brake 1", "brake 1", "gap 0", "brake 1", "brake 1", "act 1", "in_progress 1"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			p, s := settling(rule()), State{}
			for i, v := range c.views {
				var decisions []Decision
				decisions, s = p.Decide(v, s)
				candidates := s.Candidates()["leak"]
				if got := string(decisions[0].Label) + " " + string('0'+rune(candidates)); got != c.want[i] {
					t.Fatalf("round %d: %s, want %s: %s", i, got, c.want[i], decisions[0].Reason())
				}
			}
		})
	}
}

func TestAProcessStaysACandidateWhileTheBrakeDoesNotAllowTheAction(t *testing.T) {
	leak := holder(alice, sockets(2, 1, hour))
	p, s := settling(rule()), State{}
	decide := func(minute int) (Label, int) {
		decisions, next := p.Decide(view(time.Duration(minute)*time.Minute, leak), s)
		s = next
		return decisions[0].Label, s.Candidates()["leak"]
	}
	for minute := range 3 {
		decide(minute)
	}
	if label, n := decide(3); label != LabelAct || n != 1 {
		t.Fatalf("%s, %d candidates", label, n)
	}
	if label, n := decide(4); label != "in_progress" || n != 1 {
		t.Errorf("while the brake is asked: %s, %d candidates", label, n)
	}
	decisions, _ := p.Decide(view(3*time.Minute, leak), State{})
	id := decisions[0]
	id.Taken = epoch.Add(3 * time.Minute)
	s = s.Ended(RunResult{ID: id.ID(), Mode: rules.Enforce, At: epoch.Add(4 * time.Minute), NoAction: true, Label: LabelBrake})
	before := s.BudgetLeft(rules.Enforce, epoch.Add(4*time.Minute), rules.Limits{Actions: 3, Per: 10 * time.Minute})
	if before != 3 {
		t.Errorf("%d actions left, want 3: nothing was done", before)
	}
	for minute := 5; ; minute++ {
		label, n := decide(minute)
		if n != 1 {
			t.Errorf("minute %d: %d candidates", minute, n)
		}
		if label == LabelAct {
			break // without another time to settle
		}
		if minute > 6 || label != "cooldown" {
			t.Fatalf("minute %d: %s", minute, label)
		}
	}
	if got := s.Blocked()["leak"]; len(got) > 0 {
		t.Errorf("blocked while an attempt runs: %v", got)
	}
}

func TestAnUnkillableProcessIsNoCandidate(t *testing.T) {
	leak := holder(alice, sockets(2, 1, hour))
	p, s := policy(rule()), State{}
	var decisions []Decision
	for minute := range 2 {
		decisions, s = p.Decide(view(time.Duration(minute)*time.Minute, leak), s)
	}
	s = s.Ended(RunResult{ID: decisions[0].ID(), Mode: rules.Enforce, At: epoch.Add(time.Minute), Unkillable: true})
	if decisions, s = p.Decide(view(2*time.Minute, leak), s); decisions[0].Label != "in_progress" || len(s.Candidates()) != 0 {
		t.Errorf("%s, %v", decisions[0].Label, s.Candidates())
	}
}

func TestExplainDoesNotWaitUntilACandidateSettles(t *testing.T) {
	c := config(rule())
	c.Fleet.Brake = &rules.Brake{Below: 5, Settle: 2 * time.Minute}
	p := New(c, Options{Enforce: true, TrustKernelAges: true})
	leak := holder(alice, sockets(2, 1, hour))
	_, s := p.Decide(view(0, leak), State{})
	if got := p.Explain(view(time.Minute, leak), s)[0]; got.Decision != string(LabelAct) {
		t.Errorf("%s: %s", got.Decision, got.Reason)
	}
}
