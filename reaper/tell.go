package reaper

import (
	"fmt"
	"strings"
	"time"

	"closewait_exporter/closewait"
)

// Reason says in words why the decision is what it is, with all numbers.
func (d *Decision) Reason() string {
	switch d.Label {
	case LabelAct, LabelDryRun:
		return fmt.Sprintf("%s; %d actions are left", d.answers(), d.BudgetLeft)
	case LabelBudget:
		if d.Why != "" {
			return d.Why
		}
		return fmt.Sprintf("%d actions are needed, limits leave %d", d.cost(), d.BudgetLeft)
	case LabelBreaker:
		return fmt.Sprintf("%d of the %d processes that the rule matches would be victims of one round", d.Victims, d.Matched)
	}
	if d.Process == nil || d.Label == LabelIncompleteScan || d.stage == len(stages) {
		return d.Why
	}
	return stages[d.stage].tell(d)
}

// answers joins what the stages say that have numbers.
func (d *Decision) answers() string {
	var all []string
	for _, tell := range []func(*Decision) string{tellEvidence, tellHeld, tellFDs, tellPeers, tellCooldown} {
		all = append(all, tell(d))
	}
	return strings.Join(all, "; ")
}

func tellProtection(d *Decision) string {
	if d.Why == "" {
		return "nothing protects it"
	}
	return d.Why
}

func tellRunning(d *Decision) string {
	if running(d.Process) {
		return fmt.Sprintf("state %c", d.Process.State)
	}
	return fmt.Sprintf("it is stopped or traced (state %c), so it cannot close anything", d.Process.State)
}

func tellEvidence(d *Decision) string {
	text := fmt.Sprintf("%d of %d sockets are evidence, %d are wanted", d.Counting, d.Held, max(d.Rule.When.Sockets, 1))
	if d.Defunct > 0 {
		text = fmt.Sprintf("%d of %d sockets are evidence (%d of them defunct), %d are wanted", d.Counting, d.Held, d.Defunct, max(d.Rule.When.Sockets, 1))
	}
	if d.Counting > 0 {
		text += fmt.Sprintf(", each at least %s old and %s quiet, %s are wanted", short(d.Age), short(d.Quiet), d.Rule.When.Age)
	}
	return text + d.Discounted.String()
}

// String lists what is not 0.
func (c *Discounted) String() string {
	var text strings.Builder
	for _, r := range []struct {
		n    int32
		what string
	}{
		{c.Young, "not old enough"}, {c.Moving, "not quiet for long enough"}, {c.Once, "not seen in two rounds"},
		{c.Unaccepted, "not accepted"}, {c.Direction, "of the other direction"}, {c.Ignored, "ignored"},
		{c.Foreign, "held by another group too"}, {c.Shared, "held by a process too that must not end with it"},
		{c.Defunct, "defunct, which only count with include_defunct"},
	} {
		if r.n > 0 {
			fmt.Fprintf(&text, ", %d %s", r.n, r.what)
		}
	}
	return text.String()
}

func tellHeld(d *Decision) string {
	return fmt.Sprintf("enough evidence for %s, %s are wanted", short(d.HeldFor), d.Rule.When.For)
}

func tellFDs(d *Decision) string {
	p, want := d.Process, d.Rule.When.FDs
	open := "an unknown number of"
	if p.FDsKnown {
		open = fmt.Sprint(p.OpenFDs)
	}
	limit := "an unknown limit"
	switch {
	case p.MaxFDs == closewait.UnlimitedFDs:
		limit = "no limit"
	case p.MaxFDs > 0:
		limit = fmt.Sprint(p.MaxFDs)
	}
	wanted := "any number will do"
	if want != (Threshold{}) {
		wanted = want.String() + " are wanted"
	}
	return fmt.Sprintf("%s of %s descriptors are open, %s", open, limit, wanted)
}

func tellPeers(d *Decision) string {
	switch {
	case d.Rule.When.PeerShare == 0:
		return "no peer_share is given"
	case d.Peers == nil || d.Peers.Inbound == 0:
		return "no evidence is inbound"
	}
	return fmt.Sprintf("%s gives %d of %d inbound evidence sockets (%.0f%%), %s at most are allowed",
		d.Peers.Top, d.Peers.Sockets, d.Peers.Inbound, 100*d.Peers.Ratio(), percent(d.Rule.When.PeerShare))
}

func tellLadder(d *Decision) string {
	if d.Why == "" {
		return "nobody acts on the group"
	}
	return d.Why
}

func tellCooldown(d *Decision) string {
	if d.Cooldown > 0 {
		return fmt.Sprintf("cooldown for another %s after %d relapses", short(d.Cooldown), d.Relapses)
	}
	return fmt.Sprintf("no cooldown, %d relapses", d.Relapses)
}

func short(d time.Duration) time.Duration { return d.Round(100 * time.Millisecond) }
