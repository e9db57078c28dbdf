package page

import (
	"fmt"
	"strconv"
	"time"

	"closewait_exporter/reaper/status"
	"closewait_exporter/report"
)

// dryRun is the mode of a rule that takes no action, and its decision to act if it were enforced.
const dryRun = "dry_run"

// maxActed is the maximum number of actions at the top of the page.
const maxActed = 3

// reaperContent is the part of the page about the reaper.
type reaperContent struct {
	Mode           string
	Sentence       string
	ActionsHeading string
	Facts          []fact
	Rules          []status.Rule
	Suspended      []string
	Decisions      []entryContent
	Omitted        int
	Actions        []entryContent
	Acted          []entryContent // the newest actions that were not in dry run, at most maxActed
}

// entryContent is an Entry with escaped texts.
type entryContent struct {
	status.Entry
	When timestamp
	Span string // how long the decision has been the same
	Dry  bool   // of a rule in dry run, and What does not say so
}

func newReaperContent(r status.Status, now time.Time) *reaperContent {
	c := &reaperContent{
		Mode:           "dry run",
		Sentence:       "Dry run: decisions are only reported, no action is taken.",
		ActionsHeading: "Actions it would have taken",
		Omitted:        r.Omitted,
	}
	if r.Enforcing {
		c.Mode, c.ActionsHeading = "enforce", "Actions"
		c.Sentence = "Rules in mode enforce act. Rules in dry run only report what they would do."
	}
	last := "none yet"
	if !r.LastRound.IsZero() {
		last = newTimestamp(r.LastRound, now).Text + " UTC"
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
		c.Suspended = append(c.Suspended, "the rules file was invalid at the last reload: the previous rules are still in force")
	}
	for _, e := range r.Decisions {
		c.Decisions = append(c.Decisions, newEntry(e, now))
	}
	for _, e := range r.Actions {
		c.Actions = append(c.Actions, newEntry(e, now))
		if e.Mode != dryRun && len(c.Acted) < maxActed {
			c.Acted = append(c.Acted, newEntry(e, now))
		}
	}
	return c
}

func newEntry(e status.Entry, now time.Time) entryContent {
	c := entryContent{Entry: e, When: newTimestamp(e.Since, now), Dry: e.Mode == dryRun && e.What != dryRun}
	switch {
	case e.Current:
		c.Span = "for " + report.Duration(e.Until.Sub(e.Since)) + ", ongoing"
	case e.Until.After(e.Since):
		c.Span = "for " + report.Duration(e.Until.Sub(e.Since))
	}
	c.What = report.Text(e.What)
	if e.Rule != "" {
		c.Rule = report.Text(e.Rule)
	}
	if e.Why != "" {
		c.Why = report.Text(e.Why)
	}
	if e.PID != 0 {
		c.Group, c.Comm = report.Text(e.Group), report.Text(e.Comm)
	}
	return c
}

// Process names the process that an entry is about.
func (e *entryContent) Process() string {
	if e.PID == 0 {
		return "all processes"
	}
	return e.Comm + " " + strconv.Itoa(e.PID)
}
