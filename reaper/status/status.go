// Package status describes what the reaper does at present, for people. The reaper fills it in, the
// page shows it.
package status

import "time"

// Status is the state of the reaper at one moment.
type Status struct {
	Enforcing  bool     // some rule acts; otherwise all rules are in dry run
	Rules      []Rule   // in force, in the order of the file
	Suspended  []string // reasons for which rules must not act at the moment
	BudgetLeft int      // actions that the limits still allow
	Budget     int      // limits.actions
	Per        time.Duration
	LastRound  time.Time // the last round that succeeded; zero before the first
	Reloaded   bool      // the rules file was valid when it was last read
	Decisions  []Entry   // newest first
	Omitted    int       // decisions of the last round that are not in Decisions
	Actions    []Entry   // newest first
}

// Rule is a rule in force.
type Rule struct {
	Name    string
	Mode    string // dry_run or enforce
	Matched int    // processes in the last round that counted
}

// Entry is a decision or an action (a step, or the result of a remediation) in the history.
type Entry struct {
	Since   time.Time // the first round with this decision; the time of the action
	Until   time.Time // the last such round; the same as Since for an action
	Current bool      // the decision was made in the last round that counts
	Rule    string    // empty if it is about all rules
	Mode    string    // of the rule, as in force
	Group   string    // empty if it is about the rule as a whole, like PID and Comm
	PID     int
	Comm    string
	What    string // the decision as metrics name it; the step, or the result of the remediation
	Why     string // the reason in words, with the numbers of Until
}
