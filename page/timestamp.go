package page

import "time"

// timestamp is a time in UTC, like in the log, for people and for programs.
type timestamp struct {
	Text, Machine string
}

// newTimestamp leaves out the date if it is today.
func newTimestamp(t, now time.Time) timestamp {
	t, now = t.UTC(), now.UTC()
	layout := time.TimeOnly
	if t.Format(time.DateOnly) != now.Format(time.DateOnly) {
		layout = time.DateTime
	}
	return timestamp{t.Format(layout), t.Format(time.RFC3339)}
}
