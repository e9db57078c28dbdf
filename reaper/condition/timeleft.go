package condition

import (
	"fmt"
	"time"

	"closewait_exporter/reaper/document"
)

// timeLeft requires that the descriptors run out soon if they continue to grow. It restricts a rule
// with fds further, and replaces no other condition: a burst of healthy connections grows fast too.
var timeLeft = Condition{
	Key: "time_left",
	Read: func(s *document.Section, w *When) {
		w.TimeLeft = document.Value(s, "time_left", 0, document.ParsePositive)
		if s.Has("time_left") && !s.Has("fds") && !s.Broken() {
			s.Refuse("time_left", "needs fds too, such as fds: 80%: any burst of connections seems to use up the descriptors soon")
		}
	},
	Describe: func(w *When) string {
		if w.TimeLeft == 0 {
			return ""
		}
		return w.TimeLeft.String()
	},

	Name:  "time_left",
	Label: "enough_time",
	Holds: func(s Subject) bool {
		f, w := s.Findings(), s.When()
		if w.TimeLeft == 0 {
			return true
		}
		left, runsOut := f.FDGrowth.TimeLeft(f.Process.OpenFDs, f.Process.MaxFDs)
		return f.Process.FDsKnown && runsOut && left <= w.TimeLeft
	},
	Message: describeTimeLeft,
	Numbers: true,
}

func describeTimeLeft(w *When, f *Findings) string {
	if w.TimeLeft == 0 {
		return "no maximum set"
	}
	required := fmt.Sprintf("at most %s required", w.TimeLeft)
	left, runsOut := f.FDGrowth.TimeLeft(f.Process.OpenFDs, f.Process.MaxFDs)
	over := f.FDGrowth.Over.Truncate(time.Second)
	switch {
	case !f.Process.FDsKnown:
		return "the number of open descriptors is not known, " + required
	case runsOut && left == 0:
		return "the descriptors have run out, " + required
	case runsOut:
		return fmt.Sprintf("the descriptors run out in %s by the trend of the last %s, %s", left.Truncate(time.Second), over, required)
	case over == 0:
		return "how fast the descriptors grow is not known yet, " + required
	}
	return fmt.Sprintf("the descriptors do not run out by the trend of the last %s, %s", over, required)
}
