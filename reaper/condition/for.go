package condition

import (
	"fmt"

	"closewait_exporter/reaper/document"
)

// forTime requires that there has been enough evidence for some time.
var forTime = Condition{
	Key:      "for",
	Read:     func(s *document.Section, w *When) { w.For = document.Value(s, "for", 0, document.ParseDuration) },
	Describe: func(w *When) string { return w.For.String() },

	Name:         "for",
	DecisionOnly: true,
	Label:        LabelPending,
	Holds: func(s Subject) bool {
		d, enough := s.EnoughFor()
		f := s.Findings()
		f.HeldFor, f.Enough = d, enough
		return enough && d >= s.When().For
	},
	Message: func(w *When, f *Findings) string {
		if !f.Enough {
			return "not enough evidence at present"
		}
		return fmt.Sprintf("enough evidence for %s, %s required", short(f.HeldFor), w.For)
	},
	Numbers: true,
}
