package policy

import (
	"fmt"
	"slices"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/condition"
)

// Unasked returns the processes whose Supervision is necessary for decisions and not in the State.
// They have the decision unsupervised, and are past all other checks. The caller passes the answers
// to State.LearnSupervision, and decides again about the same View.
func Unasked(decisions []Decision) []*closewait.Process {
	var unasked []*closewait.Process
	known := map[closewait.ProcessID]bool{}
	for i := range decisions {
		for _, p := range decisions[i].unasked {
			if d := &decisions[i]; d.Label == condition.LabelUnsupervised && !known[p.ID] {
				known[p.ID] = true
				unasked = append(unasked, p)
			}
		}
	}
	return unasked
}

// LearnSupervision is the State with who starts processes again, for the next call of Decide only.
func (s State) LearnSupervision(known map[closewait.ProcessID]closewait.Supervision) State {
	s.supervision = known
	return s
}

// Supervised returns the number of processes by rule that were past all other checks in the last
// round, by who starts them again after every step that ends them. A rule that ends none, or
// accepts that they stay down, has no entry.
func (s *State) Supervised() map[string]map[closewait.Supervisor]int { return s.supervised }

// Unsupervised implements condition.Subject.
func (e *evaluation) Unsupervised() (why, by string) {
	signals := e.rule.EndingSignals()
	switch {
	case len(signals) == 0:
		return "", "no step ends the process without starting it again"
	case e.rule.AcceptNoRestart:
		return "", "not asked, because the rule has accept_no_restart"
	}
	processes := []*processState{e.processState}
	if e.repeated == nil {
		e.collect()
		processes = append(processes, e.with...)
	}
	for _, p := range processes {
		s, asked := supervisionOf(e, p)
		if !asked {
			e.d.unasked = append(e.d.unasked, &p.Process)
			continue
		}
		if i := slices.IndexFunc(signals, func(signal string) bool { return s.WhyDown(signal) != "" }); i >= 0 && why == "" {
			why = fmt.Sprintf("nothing is known to start %s again after %s: %s; let a supervisor restart it, or say accept_no_restart: true in the rule",
				named(e.processState, p), signals[i], s.WhyDown(signals[i]))
		}
		if p == e.processState {
			e.supervisor, by = s.By, s.Text+" starts it again"
		}
	}
	switch {
	case len(e.d.unasked) > 0:
		e.supervisor = ""
		return "not asked, because another check does not hold, or for lack of time", ""
	case why != "":
		e.supervisor = closewait.NoSupervisor
		return why, ""
	}
	return "", by
}

// named names a process in a message about another one.
func named(about, p *processState) string {
	if about == p {
		return "it"
	}
	return fmt.Sprintf("process %d, which holds the same sockets,", p.ID.PID)
}

// supervisionOf returns the answer about a process in this round, or before this step.
func supervisionOf(e *evaluation, p *processState) (closewait.Supervision, bool) {
	if e.repeated != nil {
		return e.repeated(), true
	}
	s, asked := e.next.supervision[p.ID]
	return s, asked
}

// countSupervised counts a process that is past all other checks.
func (r *round) countSupervised(e *evaluation) {
	if e.supervisor == "" || e.d.check < len(checks) && checks[e.d.check].Label != condition.LabelUnsupervised {
		return
	}
	of := r.next.supervised[e.rule.Name]
	if of == nil {
		of = map[closewait.Supervisor]int{}
		r.next.supervised[e.rule.Name] = of
	}
	of[e.supervisor]++
}
