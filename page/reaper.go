package page

import (
	"fmt"
	"strconv"
	"time"

	"closewait_exporter/list"
)

// Reaper is what the reaper does at present.
type Reaper struct {
	Enforces   bool // some rule acts; else all only say what they would do
	Rules      []Rule
	Suspended  []string // why rules are kept from acting
	BudgetLeft int      // actions that are still allowed
	Budget     int      // of so many
	Per        time.Duration
	LastRound  time.Time // zero before the first
	Reloaded   bool      // the rules file was valid when it was last read
	Decisions  []Note    // youngest first
	Omitted    int       // decisions of the last round that are not among them
	Deeds      []Note    // youngest first
}

// dryRun is the mode of a rule that only says what it would do, and its decision to.
const dryRun = "dry_run"

// Rule is a rule that is in force.
type Rule struct {
	Name    string
	Mode    string // dry_run or enforce
	Matched int    // processes
}

// Note tells of a decision, or of a deed.
type Note struct {
	Since, Until time.Time // the rounds in which it was so; the same for a deed
	Now          bool      // the decision still stands
	Rule         string    // empty where it is about all rules
	Mode         string
	Group        string // empty where it is about the rule as a whole, like the next two
	PID          int
	Comm         string
	What         string // the decision, the step, or how it ended
	Why          string
}

// reaperContent is what the templates show of it.
type reaperContent struct {
	Mode      string
	Sentence  string
	Did       string // heading of the deeds
	Facts     []fact
	Rules     []Rule
	Suspended []string
	Decisions []noteContent
	Omitted   int
	Deeds     []noteContent
}

// noteContent is a Note, safe to be shown as it is.
type noteContent struct {
	Note
	When moment
	Span string // how long it was so
	Dry  bool   // of a rule that does nothing, and nothing else says so
}

func newReaperContent(r Reaper, now time.Time) *reaperContent {
	c := &reaperContent{
		Mode:     "dry run",
		Sentence: "Dry run: it says what it would do, and does nothing.",
		Did:      "What it would have done",
		Omitted:  r.Omitted,
	}
	if r.Enforces {
		c.Mode, c.Did = "enforce", "What it did"
		c.Sentence = "It acts by the rules that say enforce. The others only say what they would do."
	}
	last := "none yet"
	if !r.LastRound.IsZero() {
		last = newMoment(r.LastRound, now).Text + " UTC"
	}
	c.Facts = []fact{
		{"Last round", last},
		{"Actions left", fmt.Sprintf("%d of %d per %s", r.BudgetLeft, r.Budget, list.Duration(r.Per))},
	}
	for _, rule := range r.Rules {
		c.Rules = append(c.Rules, Rule{list.Text(rule.Name), list.Text(rule.Mode), rule.Matched})
	}
	for _, why := range r.Suspended {
		c.Suspended = append(c.Suspended, list.Text(why))
	}
	if !r.Reloaded {
		c.Suspended = append(c.Suspended, "the rules file was not valid when it was last read: the rules before it are still in force")
	}
	for _, n := range r.Decisions {
		c.Decisions = append(c.Decisions, newNote(n, now))
	}
	for _, n := range r.Deeds {
		c.Deeds = append(c.Deeds, newNote(n, now))
	}
	return c
}

func newNote(n Note, now time.Time) noteContent {
	c := noteContent{Note: n, When: newMoment(n.Since, now), Dry: n.Mode == dryRun && n.What != dryRun}
	switch {
	case n.Now:
		c.Span = "for " + list.Duration(n.Until.Sub(n.Since)) + ", and still"
	case n.Until.After(n.Since):
		c.Span = "for " + list.Duration(n.Until.Sub(n.Since))
	}
	c.What = list.Text(n.What)
	if n.Rule != "" {
		c.Rule = list.Text(n.Rule)
	}
	if n.Why != "" {
		c.Why = list.Text(n.Why)
	}
	if n.PID != 0 {
		c.Group, c.Comm = list.Text(n.Group), list.Text(n.Comm)
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
