package condition

import (
	"errors"
	"fmt"
	"strings"

	"closewait_exporter/reaper/document"
)

// LabelPending is the decision without enough evidence, or without it for long enough.
const LabelPending Label = "pending"

// defaultSockets is the value of a rule without when.sockets.
const defaultSockets = 2

// sockets requires a minimum number of evidence sockets.
var sockets = Condition{
	Key: "sockets",
	Read: func(s *document.Section, w *When) {
		w.Sockets = document.Value(s, "sockets", defaultSockets, parseSockets)
	},
	Describe: func(w *When) string { return fmt.Sprint(w.Sockets) },

	Name:         "evidence",
	DecisionOnly: true,
	Label:        LabelPending,
	Holds:        Subject.EnoughEvidence,
	Message:      describeEvidence,
	Numbers:      true,
}

func parseSockets(text string) (int, error) {
	n, err := document.ParseCount(text)
	if err == nil && n == 0 {
		err = errors.New("0 sockets are no evidence: write 1 or more")
	}
	return n, err
}

// MinSockets is never 0: without evidence no rule acts.
func (w *When) MinSockets() int { return max(w.Sockets, 1) }

func describeEvidence(w *When, f *Findings) string {
	var text strings.Builder
	fmt.Fprintf(&text, "%d of %d sockets are evidence", f.Counting, f.Held)
	if f.Closed > 0 {
		fmt.Fprintf(&text, " (%d of them closed)", f.Closed)
	}
	fmt.Fprintf(&text, ", %d required", w.MinSockets())
	if f.Counting > 0 {
		fmt.Fprintf(&text, ", each at least %s old and %s quiet, %s required", short(f.Age), short(f.Quiet), w.Age)
	}
	text.WriteString(f.Excluded.String())
	if f.Counting == 0 && f.Excluded.Young+f.Excluded.Moving > 0 {
		fmt.Fprintf(&text, ", age %s required", w.Age)
	}
	return text.String()
}

// String lists the counts that are not 0.
func (e *ExclusionCounts) String() string {
	all := []Exclusion{
		{"not old enough", e.Young}, {"not quiet for long enough", e.Moving}, {"not seen in two rounds", e.Once}, {"not accepted", e.Unaccepted}, {"opened by another user", e.Handed},
		{"half of a relayed connection (the process holds about as many in fin_wait2)", e.Relayed},
	}
	all = append(all, e.Conditions...)
	all = append(all,
		Exclusion{"ignored", e.Ignored}, Exclusion{"also held by another group (" + e.ForeignHolder + ")", e.Foreign},
		Exclusion{"also held by a process that must not be ended with it", e.Shared}, Exclusion{"in a state that states does not list", e.State})
	var text strings.Builder
	for _, x := range all {
		if x.Count > 0 {
			fmt.Fprintf(&text, ", %d %s", x.Count, x.Why)
		}
	}
	return text.String()
}
