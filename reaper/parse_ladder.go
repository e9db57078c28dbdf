package reaper

import (
	"fmt"
	"slices"
)

// endRequests are the signals that tell a process to end. Others that can end one are often
// handled for something else, as USR1 is.
var endRequests = []string{"TERM", "INT", "QUIT", "ABRT"}

// checkLadder refuses steps that are never reached, or can do nothing when they are.
func (s *section) checkLadder(rungs []rung) {
	killed, asked := 0, 0 // by which rung, from 1
	for i, rung := range rungs {
		switch {
		case killed > 0:
			s.problem(rung.line, fmt.Sprintf("%s: is never reached: the KILL of step %d leaves nothing: remove it, or put it before", rung.path, killed))
		case i > 0 && !rung.wrong && !rungs[i-1].wrong && sameRemedy(rungs[i-1].Step, rung.Step):
			s.problem(rung.line, fmt.Sprintf("%s: does what the step before has done: remove one of the two", rung.path))
		case rung.Kind == StepThreadDump && asked > 0:
			s.problem(rung.line, fmt.Sprintf("%s: is too late: step %d has told the process to end: put it before", rung.path, asked))
		}
		switch {
		case rung.Kind != StepSignal || killed > 0:
		case rung.Signal == "KILL":
			killed = i + 1
			s.warnUnannounced(rungs[:killed])
		case asked == 0 && slices.Contains(endRequests, rung.Signal):
			asked = i + 1
		}
	}
}

// sameRemedy tells whether b, straight after a, is the same again. Only a limit can be raised twice.
func sameRemedy(a, b Step) bool {
	return a.Kind == b.Kind && a.Signal == b.Signal && a.Raise == b.Raise && slices.Equal(a.Command, b.Command)
}

// warnUnannounced warns of a KILL, the last of the rungs, that no other signal comes before.
func (s *section) warnUnannounced(rungs []rung) {
	for i := range rungs[:len(rungs)-1] {
		if rungs[i].EndsProcess() {
			return
		}
	}
	last := rungs[len(rungs)-1]
	s.warnings = append(s.warnings, Problem{s.file, last.line, last.path + ": KILL comes without a TERM before it: the program cannot finish what it is doing"})
}

// lowRatio and lowCount are thresholds of descriptors that a busy server reaches without a leak.
const (
	lowRatio = 0.5
	lowCount = 512 // half of the usual soft limit
)

// checkRemoteTrigger refuses a rule with which anybody who can connect can end the process: the
// peer alone decides when a socket enters CLOSE_WAIT, and the program when it leaves it.
func (s *section) checkRemoteTrigger(rule *Rule, rungs []rung, when *section) {
	ending, guarded := findEnding(rungs)
	if ending < 0 || rule.When.Direction == OutboundOnly || when.broken || when.refused("direction") || s.refused("accept_remote_trigger") {
		return
	}
	fds := rule.When.FDs
	switch {
	case rule.AcceptRemoteTrigger:
		s.warn("accept_remote_trigger", "whoever can connect to the program can have it ended, by closing connections on their side only")
	case guarded:
	case !when.has("fds"):
		last := rungs[ending]
		s.problem(last.line, fmt.Sprintf("%s: %s can end the process on inbound sockets alone, and any TCP client can put sockets into CLOSE_WAIT on purpose: "+
			"add when.fds, such as fds: 80%%, or a run step before this one, or when.direction: outbound, or accept_remote_trigger: true", last.path, last.Signal))
	case fds != (Threshold{}) && fds.Ratio < lowRatio && fds.Count < lowCount:
		when.warn("fds", "is reached without a leak on a busy server, so it does not keep clients from triggering the rule: 80% does")
	}
}

// findEnding finds the first step that can end a process, which is negative where there is none, and
// whether a guard is asked before it.
func findEnding(rungs []rung) (ending int, guarded bool) {
	ending = slices.IndexFunc(rungs, func(r rung) bool { return r.EndsProcess() })
	guarded = slices.ContainsFunc(rungs[:max(ending, 0)], func(r rung) bool { return r.Kind == StepRun })
	return ending, guarded
}

// warnOfOutage warns of a rule that can end a process without a leak and without an attack: when a network
// fails, the idle connections of a healthy pool become defunct together.
func warnOfOutage(rule *Rule, rungs []rung, when *section) {
	if ending, guarded := findEnding(rungs); rule.When.IncludeDefunct && ending >= 0 && !guarded && !when.has("fds") {
		when.warn("include_defunct", "a network that fails makes the idle connections of a healthy pool defunct, all at once: add fds, or let sockets be more than the pool has")
	}
}
