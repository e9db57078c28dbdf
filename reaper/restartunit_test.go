package reaper

import (
	"errors"
	"fmt"
	"regexp"
	"testing"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/condition"
	"closewait_exporter/reaper/policy"
	"closewait_exporter/reaper/step"
)

// TestTheEndOfARestart has what systemd can answer. A rule may restart a unit whose processes
// nothing else starts again.
func TestTheEndOfARestart(t *testing.T) {
	web := closewait.Unit{Name: "web.service", Names: []string{"web.service", "www.service"}, Invocation: "1"}
	with := func(change func(*closewait.Unit)) closewait.Unit { u := web; change(&u); return u }
	begun := closewait.UnitRestart{Begun: true, Detail: "web.service restarted"}
	scenarios := map[string]struct {
		step    step.RestartUnit
		unit    closewait.Unit
		unitErr error
		restart closewait.UnitRestart
		fails   error
		protect string
		member  func(*closewait.Process)
		result  Result
		label   policy.Label
		actions int
	}{
		"it is restarted":               {unit: web, restart: begun, result: restarted, actions: 1},
		"it stays down":                 {unit: web, restart: closewait.UnitRestart{Begun: true, Down: true, Detail: "web.service is failed"}, result: down, actions: 1},
		"it is masked":                  {unitErr: fmt.Errorf("%w: masked", closewait.ErrRefused), result: aborted, label: policy.LabelRefused},
		"it has a job":                  {unitErr: fmt.Errorf("%w: job 7", closewait.ErrUnitBusy), result: aborted, label: condition.LabelInProgress},
		"polkit refuses":                {unit: web, fails: fmt.Errorf("%w by polkit", closewait.ErrRefused), result: aborted, label: policy.LabelRefused, actions: 1},
		"systemd does not answer":       {unit: web, fails: errors.New("no reply"), result: aborted, actions: 1},
		"others depend on it":           {unit: with(func(u *closewait.Unit) { u.Dependents = []string{"shop.service"} }), result: aborted, label: policy.LabelRefused},
		"which is allowed":              {step: step.RestartUnit{Dependents: true}, unit: with(func(u *closewait.Unit) { u.Dependents = []string{"shop.service"} }), restart: begun, result: restarted, actions: 1},
		"which never is":                {step: step.RestartUnit{Dependents: true}, unit: with(func(u *closewait.Unit) { u.Dependents = []string{"docker.service"} }), result: aborted, label: policy.LabelRefused},
		"an alias is on the never-list": {unit: with(func(u *closewait.Unit) { u.Names = append(u.Names, "sshd.service") }), result: aborted, label: policy.LabelRefused},
		"an alias is protected":         {unit: web, protect: `www\.service`, result: aborted, label: policy.LabelRefused},
		"a unit of a user":              {unit: web, member: func(p *closewait.Process) { p.Unit, p.Nested = "", "user@1000.service/web.service" }, result: aborted, label: policy.LabelRefused},
		"no unit":                       {unit: web, member: func(p *closewait.Process) { p.Unit = "" }, result: aborted, label: policy.LabelRefused},
	}
	for name, s := range scenarios {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, c *remedying) {
				c.leakFor(alice)
				if s.member != nil {
					s.member(&c.processes[0].process)
				}
				s.step.Timeout = time.Minute
				c.rule.Steps, c.rule.AcceptNoRestart = []step.Step{s.step}, false
				c.unit, c.unitErr, c.restart = s.unit, s.unitErr, s.restart
				c.on["restart_unit"] = func(p *fakeProcess) error {
					if s.fails == nil {
						p.exit()
					}
					return s.fails
				}
				if s.protect != "" {
					again := config(c.rule)
					again.Protect.Unit = []*regexp.Regexp{regexp.MustCompile("^(?:" + s.protect + ")$")}
					c.reloaded = policy.New(again, policy.Options{Enforce: true})
				}
				o := c.remedy(t)
				if o.Result != s.result || o.label != s.label || len(c.actions) != s.actions {
					t.Errorf("%s, %q after %q (%s), want %s, %q after %d actions", o.Result, o.label, c.actions, o.reason, s.result, s.label, s.actions)
				}
				if acted := c.last.acted; acted != s.restart.Begun {
					t.Errorf("acted: %v, want %v", acted, s.restart.Begun)
				}
			})
		})
	}
}

// TestADryRunRestartsNothingAndSaysWhatIsRefused: it reads the unit as enforcing does.
func TestADryRunRestartsNothingAndSaysWhatIsRefused(t *testing.T) {
	for refused, want := range map[bool]policy.Label{false: "", true: policy.LabelRefused} {
		inBubble(t, func(t *testing.T, c *remedying) {
			c.leakFor(alice)
			c.rule.Mode = 0
			c.rule.Steps = []step.Step{step.RestartUnit{Timeout: time.Minute}}
			c.executor = step.DryRunExecutor{Executor: c.fakeHost}
			c.unit = closewait.Unit{Name: "web.service", Names: []string{"web.service"}}
			if refused {
				c.unit.Dependents = []string{"shop.service"}
			}
			if o := c.remedy(t); o.Result != "" || o.label != want || len(c.actions) != 0 {
				t.Errorf("%s, %q (%s), %q", o.Result, o.label, o.reason, c.actions)
			}
		})
	}
}
