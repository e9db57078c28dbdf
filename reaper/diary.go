package reaper

import (
	"slices"
	"sync"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/status"
)

// notesKept is how many decisions, and how many deeds, a diary keeps: as many as a person reads.
const notesKept = 20

// diary keeps the latest entries. A decision that is made again and again is one entry.
type diary struct {
	mu        sync.Mutex
	mode      Mode
	limits    Limits
	rules     []status.Rule
	decisions []standing     // those of the last round first, then the ones that ended last
	omitted   int            // decisions of the last round that found no place
	deeds     []status.Entry // newest first
}

// standing is an entry with what it is about.
type standing struct {
	topic
	status.Entry
}

// topic makes decisions of two rounds the same one.
type topic struct {
	rule  string              // empty: about all rules
	id    closewait.ProcessID // zero: about the rule as a whole
	label Label
}

// adopt takes up the rules that are in force from now on.
func (d *diary) adopt(p *Policy) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mode, d.limits, d.rules = p.Mode(), p.config.Limits, nil
	for i := range p.rules {
		d.rules = append(d.rules, status.Rule{Name: p.rules[i].Name, Mode: p.rules[i].Mode.String()})
	}
}

// round takes in what was decided in a round that counts. Of many decisions those are kept that were
// kept before, and the first ones: to act, and about the worst processes.
func (d *diary) round(decisions []Decision, matched map[string]int, at time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range d.rules {
		d.rules[i].Matched = matched[d.rules[i].Name]
	}
	since := map[topic]time.Time{} // of the decisions that may go on
	for i := range d.decisions {
		if d.decisions[i].Current {
			since[d.decisions[i].topic] = d.decisions[i].Since
		}
	}
	var now []standing
	for i := range decisions {
		t := topicOf(&decisions[i])
		began, goesOn := since[t]
		if !goesOn && i >= notesKept {
			continue
		}
		s := standing{t, newNote(&decisions[i], at, t.label.String(), decisions[i].Reason())}
		if s.Current = true; goesOn {
			s.Since = began
			delete(since, t)
		}
		now = append(now, s)
	}
	now = now[:min(len(now), notesKept)]
	d.omitted = len(decisions) - len(now)
	var past []standing
	for _, s := range d.decisions {
		if _, ends := since[s.topic]; ends || !s.Current {
			s.Current = false
			past = append(past, s)
		}
	}
	d.keep(now, past)
}

// void takes in a round that does not count, for a reason that is the same for all rules. What was decided
// before still stands.
func (d *diary) void(decision *Decision, at time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := standing{topic{label: decision.Label}, status.Entry{
		Since: at, Until: at, Current: true, Mode: d.mode.String(), What: decision.Label.String(), Why: decision.Reason(),
	}}
	rest := slices.Clone(d.decisions)
	for i := range rest { // one reason at a time keeps all rules from acting
		rest[i].Current = rest[i].Current && (rest[i].rule != "" || rest[i].topic == s.topic)
	}
	rest = slices.DeleteFunc(rest, func(before standing) bool {
		same := before.Current && before.topic == s.topic
		if same {
			s.Since = before.Since
		}
		return same
	})
	d.keep([]standing{s}, rest)
}

// keep keeps the first ones.
func (d *diary) keep(first, rest []standing) {
	all := slices.Concat(first, rest)
	d.decisions = all[:min(len(all), notesKept)]
}

func topicOf(d *Decision) topic {
	t := topic{rule: d.Rule.Name, label: d.Label}
	if d.Process != nil {
		t.id = d.Process.ID
	}
	return t
}

// deed takes in what was done about a decision, to which of its victims.
func (d *diary) deed(about *Decision, pid int, what, why string) {
	n := newNote(about, time.Now(), what, why)
	for _, p := range about.With {
		if p.ID.PID == pid {
			n.PID, n.Comm = pid, p.Comm
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.deeds = slices.Insert(d.deeds, 0, n)
	d.deeds = d.deeds[:min(len(d.deeds), notesKept)]
}

func newNote(d *Decision, at time.Time, what, why string) status.Entry {
	n := status.Entry{Since: at, Until: at, Rule: d.Rule.Name, Mode: d.Rule.Mode.String(), Group: d.Group, What: what, Why: why}
	if d.Process != nil {
		n.PID, n.Comm = d.Process.ID.PID, d.Process.Comm
	}
	return n
}
