package reaper

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/condition"
	"closewait_exporter/reaper/policy"
	"closewait_exporter/reaper/step"
)

var termAndKill = []step.Step{step.Signal{Name: "TERM", Wait: 10 * time.Second}, step.Signal{Name: "KILL", Wait: 5 * time.Second}}

func exitsIf(id closewait.ProcessID) func(*fakeProcess) error {
	return func(p *fakeProcess) error {
		if p.process.ID == id {
			p.exit()
		}
		return nil
	}
}

func TestAFamilyIsEndedTogether(t *testing.T) {
	scenarios := map[string]struct {
		on      map[string]func(*fakeProcess) error
		want    Result
		actions []string
		sockets int
		fds     uint64
	}{
		"all honour TERM": {
			map[string]func(*fakeProcess) error{"signal TERM": exits}, terminated, []string{"signal TERM", "signal TERM"}, 4, 200,
		},
		"the child does not": {
			map[string]func(*fakeProcess) error{"signal TERM": exitsIf(alice), "signal KILL": exits}, killed,
			[]string{"signal TERM", "signal TERM", "signal KILL"}, 4, 200,
		},
		"the parent does not": {
			map[string]func(*fakeProcess) error{"signal TERM": exitsIf(bob), "signal KILL": exits}, killed,
			[]string{"signal TERM", "signal TERM", "signal KILL"}, 4, 200,
		},
	}
	for name, s := range scenarios {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, c *remedying) {
				c.rule.Steps = termAndKill
				c.leakFor(alice, bob)
				c.on = s.on
				o := c.remedy(t)
				if o.Result != s.want || o.sockets != s.sockets || o.fds != s.fds {
					t.Errorf("%s (%s), %d sockets and %d descriptors free, want %s, %d, %d", o.Result, o.reason, o.sockets, o.fds, s.want, s.sockets, s.fds)
				}
				if diff := cmp.Diff(s.actions, c.actions); diff != "" {
					t.Errorf("-want +done:\n%s", diff)
				}
			})
		})
	}
}

func TestStepsThatAreAppliedOnceToAFamily(t *testing.T) {
	inBubble(t, func(t *testing.T, c *remedying) {
		c.rule.Steps = allSteps
		c.leakFor(alice, bob)
		c.on["signal TERM"] = exits
		c.remedy(t)
		want := []string{"raise_nofile", "raise_nofile", "run /bin/guard", "destroy", "thread_dump", "thread_dump", "signal TERM", "signal TERM"}
		if diff := cmp.Diff(want, c.actions); diff != "" {
			t.Errorf("-want +done:\n%s", diff)
		}
	})
}

func TestAForkedChildThatIsNoTargetSavesItsParent(t *testing.T) {
	inBubble(t, func(t *testing.T, c *remedying) {
		c.rule.Steps = termAndKill
		c.leakFor(alice)
		c.on["signal TERM"] = func(p *fakeProcess) error { // it forks instead of ending
			c.processes = append(c.processes, &fakeProcess{host: c.fakeHost, process: closewait.Process{ID: bob, Unit: "web.service"}, sockets: p.sockets, ended: make(chan struct{})})
			return nil
		}
		if o := c.remedy(t); o.Result != aborted || o.label != condition.LabelPending || len(c.actions) != 1 {
			t.Errorf("%s %s (%s) after %v, want aborted: to end the parent alone frees nothing", o.Result, o.label, o.reason, c.actions)
		}
	})
}

func TestAWaitThatTookTooLongIsAGap(t *testing.T) {
	inBubble(t, func(t *testing.T, c *remedying) {
		c.rule.Steps = termAndKill
		c.leakFor(alice)
		c.on["signal TERM"] = func(p *fakeProcess) error {
			p.slow = time.Hour // SIGSTOP for the reaper, or a host that was suspended
			return nil
		}
		if o := c.remedy(t); o.Result != aborted || o.label != policy.LabelGap || len(c.actions) != 1 {
			t.Errorf("%s %s (%s) after %v, want aborted: the process had no time", o.Result, o.label, o.reason, c.actions)
		}
	})
}
