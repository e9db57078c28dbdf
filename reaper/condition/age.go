package condition

import (
	"errors"
	"fmt"
	"time"

	"closewait_exporter/reaper/document"
)

// age selects the sockets that have been in their state, and without traffic, for long enough.
var age = Condition{
	Key: "age",
	Read: func(s *document.Section, w *When) {
		w.Age = document.Value(s, "age", 0, parseAge)
		if !s.Has("age") && !s.Broken() {
			s.Refuse("age", "is missing: say for how long a connection must have been over, such as 60s")
		}
	},
	Describe: func(w *When) string { return w.Age.String() },
	// A socket is evidence only after two rounds have seen it.
	Warn: func(s *document.Section, c Context) {
		if w := c.When; w.Age > 0 && w.Age < 2*c.Interval {
			s.Warn("age", fmt.Sprintf("%s is shorter than two intervals of %s: a socket counts only after two rounds have seen it, which can take longer: "+
				"write %s or more, or a shorter interval", w.Age, c.Interval, 2*c.Interval))
		}
	},
}

func parseAge(text string) (time.Duration, error) {
	d, err := document.ParseDuration(text)
	if err == nil && d == 0 {
		err = errors.New("without an age every connection counts that is just being closed: write such as 60s")
	}
	return d, err
}
