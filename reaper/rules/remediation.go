package rules

import (
	"fmt"
	"slices"

	"closewait_exporter/reaper/document"
	"closewait_exporter/reaper/step"
)

// checkSteps refuses steps that are never reached, or have no effect when they are.
func (p *parser) checkSteps(steps []parsedStep) {
	killed, asked := 0, 0 // by which step, from 1
	for i, next := range steps {
		traits := next.Traits()
		switch {
		case killed > 0:
			p.Problem(next.line, fmt.Sprintf("%s: is never reached: the KILL of step %d leaves nothing: remove it, or put it before", next.path, killed))
		case i > 0 && !next.wrong && !steps[i-1].wrong && repeats(steps[i-1].Step, next.Step):
			p.Problem(next.line, next.path+": repeats the step before: remove one of the two")
		case traits.NeedsLife && asked > 0:
			p.Problem(next.line, fmt.Sprintf("%s: is too late: step %d has told the process to end: put it before", next.path, asked))
		}
		switch {
		case killed > 0:
		case traits.Kills:
			killed = i + 1
			p.warnUnannounced(steps[:killed])
		case asked == 0 && traits.RequestsEnd:
			asked = i + 1
		}
	}
}

// repeats reports whether two steps do the same. Their texts lack the arguments of guards.
func repeats(a, b step.Step) bool {
	one, isRun := a.(step.Run)
	two, isRunToo := b.(step.Run)
	if isRun && isRunToo {
		return slices.Equal(one.Command, two.Command)
	}
	return a.String() == b.String()
}

// warnUnannounced warns about a KILL, the last of the steps, without another signal before it.
func (p *parser) warnUnannounced(steps []parsedStep) {
	last := len(steps) - 1
	if slices.ContainsFunc(steps[:last], func(s parsedStep) bool { return s.Traits().EndsProcess }) {
		return
	}
	p.Warning(steps[last].line, steps[last].path+": KILL comes without a TERM before it: the program cannot finish its work")
}

// checkRemoteTrigger refuses a rule by which a peer can end the process: the peer alone decides
// when a socket enters CLOSE_WAIT, and the program when it leaves that state. The direction makes
// no difference: proxies connect to what their clients name.
func (p *parser) checkRemoteTrigger(rule *Rule, steps []parsedStep, s, when *document.Section) {
	ending, guarded := findEnding(steps)
	if ending < 0 || when.Broken() || s.Refused("accept_remote_trigger") {
		return
	}
	switch {
	case rule.AcceptRemoteTrigger:
		s.Warn("accept_remote_trigger", "any peer can make the rule end the program, by closing connections on its own side only")
	case !guarded && !when.Has("fds"):
		last := steps[ending]
		p.Problem(last.line, fmt.Sprintf("%s: %s can end the process because of its sockets alone, and any peer can put sockets into CLOSE_WAIT on purpose, outbound ones too: "+
			"add when.fds, such as fds: 80%%, or a run step before this one, or accept_remote_trigger: true", last.path, last))
	}
}

// checkRestart warns about what the key accept_no_restart leaves to chance.
func (p *parser) checkRestart(rule *Rule, s, match *document.Section) {
	signals := rule.EndingSignals()
	switch {
	case s.Broken() || s.Refused("accept_no_restart"):
	case rule.AcceptNoRestart && len(signals) == 0:
		s.Warn("accept_no_restart", "has no effect: no step ends a process without starting it again")
	case rule.AcceptNoRestart:
		s.Warn("accept_no_restart", "the rule also ends processes that nothing starts again")
	case len(signals) > 0:
		p.endings = append(p.endings, endingAt{match, rule.Match, signals})
	}
}

// findEnding returns the index of the first step that can end a process, negative if there is none,
// and whether a guard runs before it.
func findEnding(steps []parsedStep) (ending int, guarded bool) {
	ending = slices.IndexFunc(steps, func(s parsedStep) bool { return s.Traits().EndsProcess })
	guarded = slices.ContainsFunc(steps[:max(ending, 0)], func(s parsedStep) bool { return s.Traits().Guards })
	return ending, guarded
}
