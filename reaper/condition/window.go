package condition

import (
	"errors"
	"fmt"
	"time"
	_ "time/tzdata" // the container image has no time zones

	"closewait_exporter/reaper/document"
)

// LabelWindow is the decision outside of the window of a rule that can end processes.
const LabelWindow Label = "window"

// window keeps a rule that can end processes from acting outside of a time of day. It is asked
// again before each step, so a remediation that takes long does not go on after the window. What it
// depends on is the time of the View alone: a restart of the exporter changes nothing, and when the
// clock is set, the new time counts.
var window = Condition{
	Key:    "window",
	OfRule: true,
	Read: func(s *document.Section, w *When) {
		if s.Has("window") {
			w.Window = readWindow(s.Sub("window", WindowKeys...))
		}
	},
	Describe: func(w *When) string {
		if !w.Window.given() {
			return ""
		}
		return w.Window.String()
	},
	Warn: func(s *document.Section, c Context) {
		if c.When.Window.given() && !c.CanEnd {
			s.Warn("window", "has no effect: no step of the rule can end a process")
		}
	},

	Name:   "window",
	Label:  LabelWindow,
	Blocks: true,
	Holds: func(s Subject) bool {
		f := s.Findings()
		return !f.CanEnd || s.When().Window.Contains(f.Taken)
	},
	Message: func(w *When, f *Findings) string {
		switch {
		case !w.Window.given():
			return "none set"
		case !f.CanEnd:
			return "no step can end a process"
		}
		return fmt.Sprintf("%s; it is %s there", w.Window, f.Taken.In(w.Window.Zone).Format("15:04"))
	},
}

// Window is a time of day. The zero value contains every time.
type Window struct {
	From, To time.Duration  // after midnight by the clocks of the zone; over midnight if To is before From
	Zone     *time.Location // nil: there is no window
}

// WindowKeys are the keys of a window.
var WindowKeys = []string{"from", "to", "zone"}

func readWindow(s *document.Section) Window {
	w := Window{
		From: document.Value(s, "from", 0, parseClock),
		To:   document.Value(s, "to", 0, parseClock),
		Zone: document.Value(s, "zone", time.Local, parseZone),
	}
	complete := !s.Broken()
	for _, end := range []struct{ key, example string }{{"from", "02:00"}, {"to", "05:00"}} {
		if !s.Has(end.key) && !s.Broken() {
			s.Refuse(end.key, "is missing: write a time of day such as "+end.example)
		}
		complete = complete && s.Has(end.key) && !s.Refused(end.key)
	}
	if complete && w.From == w.To {
		s.RefuseAll("begins and ends at the same time: choose another end, or remove the window to allow every time")
	}
	return w
}

func parseClock(text string) (time.Duration, error) {
	at, err := time.Parse("15:04", text)
	if err != nil || len(text) != len("15:04") {
		return 0, fmt.Errorf("%q is not a time of day: write one from 00:00 to 23:59, such as 02:00", text)
	}
	return sinceMidnight(at), nil
}

func parseZone(text string) (*time.Location, error) {
	if text == "" {
		return nil, errors.New("is empty: write Local, UTC or a name such as Europe/Berlin")
	}
	zone, err := time.LoadLocation(text)
	if err != nil {
		return nil, fmt.Errorf("%q is not a known time zone: write Local, UTC or a name of the IANA database such as Europe/Berlin", text)
	}
	return zone, nil
}

func (w Window) given() bool { return w.Zone != nil }

// Contains reports whether a moment is in the window, by the clocks of the zone. When they are set
// forward, the window can be shorter or missing on that day; when they are set back, it can be
// longer or come twice. To is not in the window.
func (w Window) Contains(at time.Time) bool {
	if !w.given() {
		return true
	}
	now := sinceMidnight(at.In(w.Zone))
	if w.From < w.To {
		return w.From <= now && now < w.To
	}
	return w.From <= now || now < w.To
}

// sinceMidnight is what a clock shows, which is not always how long ago midnight was.
func sinceMidnight(at time.Time) time.Duration {
	hour, minute, sec := at.Clock()
	return time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute + time.Duration(sec)*time.Second
}

// String is such as "02:00 to 05:00 (Europe/Berlin)".
func (w Window) String() string {
	clock := func(d time.Duration) string { return time.Time{}.Add(d).Format("15:04") }
	return fmt.Sprintf("%s to %s (%s)", clock(w.From), clock(w.To), w.Zone)
}
