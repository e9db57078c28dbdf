package reaper

import (
	"slices"
	"sync"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/policy"
	"closewait_exporter/reaper/rules"
	"closewait_exporter/reaper/status"
)

// entriesKept is the number of decisions, and of actions, that a history keeps.
const entriesKept = 20

// history keeps the latest decisions and actions. A decision that several rounds repeat is one
// entry.
type history struct {
	mu        sync.Mutex
	decisions []entry        // of the last round first, then the ones that ended last
	omitted   int            // decisions of the last round that are not kept
	actions   []status.Entry // newest first
}

// entry is a decision and its key.
type entry struct {
	key
	status.Entry
}

// key identifies the same decision in two rounds.
type key struct {
	rule  string              // empty: about all rules
	id    closewait.ProcessID // zero: about the rule as a whole
	label policy.Label
}

// round enters the decisions of a round that counts. Of many decisions it keeps those that were
// kept before, and the first ones: to act, and about the worst processes.
func (h *history) round(decisions []policy.Decision, at time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	since := map[key]time.Time{} // of the decisions that may continue
	for i := range h.decisions {
		if h.decisions[i].Current {
			since[h.decisions[i].key] = h.decisions[i].Since
		}
	}
	var now []entry
	for i := range decisions {
		k := keyOf(&decisions[i])
		began, continues := since[k]
		if !continues && i >= entriesKept {
			continue
		}
		e := entry{k, newEntry(&decisions[i], at, string(k.label), decisions[i].Reason())}
		if e.Current = true; continues {
			e.Since = began
			delete(since, k)
		}
		now = append(now, e)
	}
	now = now[:min(len(now), entriesKept)]
	h.omitted = len(decisions) - len(now)
	var past []entry
	for _, e := range h.decisions {
		if _, ends := since[e.key]; ends || !e.Current {
			e.Current = false
			past = append(past, e)
		}
	}
	h.keep(now, past)
}

// unusable enters a round that does not count, for a reason that is the same for all rules. The
// decisions before it stay current.
func (h *history) unusable(d *policy.Decision, mode rules.Mode, at time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	e := entry{key{label: d.Label}, status.Entry{
		Since: at, Until: at, Current: true, Mode: mode.String(), What: string(d.Label), Why: d.Reason(),
	}}
	rest := slices.Clone(h.decisions)
	for i := range rest { // only one reason about all rules is current at a time
		rest[i].Current = rest[i].Current && (rest[i].rule != "" || rest[i].key == e.key)
	}
	rest = slices.DeleteFunc(rest, func(before entry) bool {
		same := before.Current && before.key == e.key
		if same {
			e.Since = before.Since
		}
		return same
	})
	h.keep([]entry{e}, rest)
}

// keep keeps the first entries.
func (h *history) keep(first, rest []entry) {
	all := slices.Concat(first, rest)
	h.decisions = all[:min(len(all), entriesKept)]
}

func keyOf(d *policy.Decision) key {
	k := key{rule: d.Rule.Name, label: d.Label}
	if d.Process != nil {
		k.id = d.Process.ID
	}
	return k
}

// action enters an action on one of the targets of a decision.
func (h *history) action(about *policy.Decision, pid int, what, why string) {
	e := newEntry(about, time.Now(), what, why)
	for _, p := range about.With {
		if p.ID.PID == pid {
			e.PID, e.Comm = pid, p.Comm
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.actions = slices.Insert(h.actions, 0, e)
	h.actions = h.actions[:min(len(h.actions), entriesKept)]
}

func newEntry(d *policy.Decision, at time.Time, what, why string) status.Entry {
	e := status.Entry{Since: at, Until: at, Rule: d.Rule.Name, Mode: d.Rule.Mode.String(), Group: d.Group, What: what, Why: why}
	if d.Process != nil {
		e.PID, e.Comm = d.Process.ID.PID, d.Process.Comm
	}
	return e
}

// addTo fills in the decisions and actions of a status.
func (h *history) addTo(s *status.Status) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s.Omitted, s.Actions = h.omitted, slices.Clone(h.actions)
	for i := range h.decisions {
		s.Decisions = append(s.Decisions, h.decisions[i].Entry)
	}
	slices.SortStableFunc(s.Decisions, func(a, b status.Entry) int { return b.Since.Compare(a.Since) })
}
