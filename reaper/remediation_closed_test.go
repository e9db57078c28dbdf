package reaper

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/step"
)

var destroyAndTerm = []step.Step{step.Destroy{}, step.Signal{Name: "TERM", Wait: 10 * time.Second}}

var endedStates = closewait.NewStateSet(closewait.EndedStates...)

// leakClosed makes alice leak sockets in CLOSE_WAIT and closed sockets.
func (c *remedying) leakClosed(waiting, closed int) {
	long := time.Since(epoch) - time.Hour
	c.add(withClosed(holder(alice, sockets(waiting, 1000, long)), sockets(closed, 2000, long)))
}

func TestTheEndOfARemediationOnClosedSockets(t *testing.T) {
	type actions = map[string]func(*fakeProcess) error
	resets := func(p *fakeProcess) error { p.cutAll(p.sockets); return nil }
	vanishes := func(p *fakeProcess) error { p.host.closed = false; return nil }
	shares := func(p *fakeProcess) error {
		p.host.add(&closewait.Holder{Process: closewait.Process{ID: bob, Exe: "/opt/other"}, Ended: closewait.NewHolding(p.sockets)})
		return nil
	}
	scenarios := map[string]struct {
		include         bool // the rule counts closed sockets
		waiting, closed int  // sockets
		steps           []step.Step
		on              actions
		want            string
		done            []string
		details         string // of the steps
		freed           int    // sockets
	}{
		"TERM cures, and destroy has nothing to do": {
			true, 0, 2, destroyAndTerm, actions{"signal TERM": exits}, "terminated", []string{"destroy", "signal TERM"}, "2 closed already", 2,
		},
		"nor has shutdown, after destroy": {
			true, 2, 0, []step.Step{step.Destroy{}, step.Shutdown{}, destroyAndTerm[1]}, actions{"signal TERM": exits}, "terminated",
			[]string{"destroy", "shutdown", "signal TERM"}, "2 ended, 0 gone, 0 failed; 0 ended, 0 gone, 0 failed, 2 closed already", 2,
		},
		"a leak that destroy makes closed is still a leak": {
			true, 2, 0, destroyAndTerm, actions{"signal TERM": exits}, "terminated", []string{"destroy", "signal TERM"}, "2 ended", 2,
		},
		"also where the rule does not count what is closed": {
			false, 2, 0, destroyAndTerm, actions{"signal TERM": exits}, "terminated", []string{"destroy", "signal TERM"}, "2 ended", 2,
		},
		"to leave CLOSE_WAIT is no cure": {
			true, 2, 0, destroyAndTerm[:1], nil, "aborted", []string{"destroy"}, "2 ended", 0,
		},
		"nor is it where the rule does not count what is closed": {
			false, 2, 0, destroyAndTerm[:1], nil, "aborted", []string{"destroy"}, "2 ended", 0,
		},
		"to close is one": {
			true, 2, 0, destroyAndTerm, actions{"destroy": closes}, "recovered recovered", []string{"destroy"}, "2 ended", 2,
		},
		"also to close what is closed": {
			true, 0, 2, destroyAndTerm, actions{"destroy": closes}, "recovered recovered", []string{"destroy"}, "2 closed already", 2,
		},
		"peers that reset what is in CLOSE_WAIT change nothing": {
			true, 2, 0, allSteps[1:2], actions{"run /bin/guard": resets}, "aborted", []string{"run /bin/guard"}, "", 0,
		},
		"but they do where the rule does not count what is closed": {
			false, 2, 0, allSteps[1:2], actions{"run /bin/guard": resets}, "aborted pending", []string{"run /bin/guard"}, "", 0,
		},
		"what is not seen to be closed any more is no evidence, as no step has cut it": {
			true, 0, 2, destroyAndTerm, actions{"destroy": vanishes}, "aborted pending", []string{"destroy"}, "2 closed already", 0,
		},
		"nor is it when others were cut": {
			true, 1, 2, destroyAndTerm, actions{"destroy": vanishes}, "aborted pending", []string{"destroy"}, "1 ended, 0 gone, 0 failed, 2 closed already", 0,
		},
		"what was cut and is not seen is": {
			true, 2, 0, destroyAndTerm, actions{"destroy": vanishes, "signal TERM": exits}, "terminated", []string{"destroy", "signal TERM"}, "2 ended", 2,
		},
		"what somebody else holds by now is not, for it would not come free": {
			true, 0, 2, destroyAndTerm, actions{"destroy": shares}, "aborted pending", []string{"destroy"}, "2 closed already", 0,
		},
	}
	for name, s := range scenarios {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, c *remedying) {
				c.rule.Steps, c.closed = s.steps, true
				if s.include {
					c.rule.When.States = endedStates
				}
				c.leakClosed(s.waiting, s.closed)
				c.on = s.on
				o := c.remedy(t)
				if got := strings.TrimSpace(string(o.Result) + " " + string(o.label)); got != s.want || o.sockets != s.freed {
					t.Errorf("%s (%s), %d sockets free, want %s, %d", got, o.reason, o.sockets, s.want, s.freed)
				}
				if diff := cmp.Diff(s.done, c.actions); diff != "" {
					t.Errorf("-want +done:\n%s", diff)
				}
				if details := c.details(); !strings.Contains(details, s.details) {
					t.Errorf("the audit file has %q, want %q in it", details, s.details)
				}
			})
		})
	}
}

// details joins the details of all steps in the last record.
func (c *remedying) details() string {
	var all []string
	for _, d := range c.audit.records[len(c.audit.records)-1].StepResults {
		all = append(all, d.Detail)
	}
	return strings.Join(all, "; ")
}

func TestAStepThatFailsOnClosedSocketsEndsTheRemediation(t *testing.T) {
	inBubble(t, func(t *testing.T, c *remedying) {
		c.rule.When.States, c.rule.Steps, c.closed = endedStates, destroyAndTerm, true
		c.leakClosed(0, 2)
		c.on = map[string]func(*fakeProcess) error{"destroy": fails(errors.New("EPERM"))}
		if o := c.remedy(t); o.Result != aborted || len(c.actions) != 1 {
			t.Errorf("%s (%s) after %q", o.Result, o.reason, c.actions)
		}
	})
}
