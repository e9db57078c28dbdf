package page

import (
	"fmt"
	"strconv"
	"time"

	"closewait_exporter/report"
	"closewait_exporter/reaper/status"
)

// dryRun is the mode of a rule that only says what it would do, and its decision to.
const dryRun = "dry_run"

// reaperContent is what the templates show of it.
type reaperContent struct {
	Mode      string
	Sentence  string
	Did       string // heading of the deeds
	Facts     []fact
	Rules     []status.Rule
	Suspended []string
	Decisions []noteContent
	Omitted   int
	Actions   []noteContent
}

// noteContent is an Entry, safe to be shown as it is.
type noteContent struct {
	status.Entry
	When moment
	Span string // how long it was so
	Dry  bool   // of a rule that does nothing, and nothing else says so
}

func newReaperContent(r status.Status, now time.Time) *reaperContent {
	c := &reaperContent{
		Mode:     "dry run",
		Sentence: "Dry run: it says what it would do, and does nothing.",
		Did:      "What it would have done",
		Omitted:  r.Omitted,
	}
	if r.Enforcing {
		c.Mode, c.Did = "enforce", "What it did"
		c.Sentence = "It acts by the rules that say enforce. The others only say what they would do."
	}
	last := "none yet"
	if !r.LastRound.IsZero() {
		last = newMoment(r.LastRound, now).Text + " UTC"
	}
	c.Facts = []fact{
		{"Last round", last},
		{"Actions left", fmt.Sprintf("%d of %d per %s", r.BudgetLeft, r.Budget, report.Duration(r.Per))},
	}
	for _, rule := range r.Rules {
		c.Rules = append(c.Rules, status.Rule{Name: report.Text(rule.Name), Mode: report.Text(rule.Mode), Matched: rule.Matched})
	}
	for _, why := range r.Suspended {
		c.Suspended = append(c.Suspended, report.Text(why))
	}
	if !r.Reloaded {
		c.Suspended = append(c.Suspended, "the rules file was not valid when it was last read: the rules before it are still in force")
	}
	for _, n := range r.Decisions {
		c.Decisions = append(c.Decisions, newNote(n, now))
	}
	for _, n := range r.Actions {
		c.Actions = append(c.Actions, newNote(n, now))
	}
	return c
}

func newNote(n status.Entry, now time.Time) noteContent {
	c := noteContent{Entry: n, When: newMoment(n.Since, now), Dry: n.Mode == dryRun && n.What != dryRun}
	switch {
	case n.Current:
		c.Span = "for " + report.Duration(n.Until.Sub(n.Since)) + ", and still"
	case n.Until.After(n.Since):
		c.Span = "for " + report.Duration(n.Until.Sub(n.Since))
	}
	c.What = report.Text(n.What)
	if n.Rule != "" {
		c.Rule = report.Text(n.Rule)
	}
	if n.Why != "" {
		c.Why = report.Text(n.Why)
	}
	if n.PID != 0 {
		c.Group, c.Comm = report.Text(n.Group), report.Text(n.Comm)
	}
	return c
}

// Process names whom a note is about.
func (n *noteContent) Process() string {
	if n.PID == 0 {
		return "all processes"
	}
	return n.Comm + " " + strconv.Itoa(n.PID)
}
