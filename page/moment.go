package page

import (
	"time"
)

// moment is a point in time as people and programs read it, in UTC like the log.
type moment struct {
	Text, Machine string
}

// newMoment leaves out the day when it is today.
func newMoment(t, now time.Time) moment {
	t, now = t.UTC(), now.UTC()
	layout := time.TimeOnly
	if t.Format(time.DateOnly) != now.Format(time.DateOnly) {
		layout = time.DateTime
	}
	return moment{t.Format(layout), t.Format(time.RFC3339)}
}
