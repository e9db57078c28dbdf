package condition

import (
	"testing"
	"time"
)

func TestAWindowIsATimeOfDayByTheClocksOfItsZone(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	at := func(from, to string, zone *time.Location) Window {
		f, errFrom := parseClock(from)
		until, errTo := parseClock(to)
		if errFrom != nil || errTo != nil {
			t.Fatal(errFrom, errTo)
		}
		return Window{From: f, To: until, Zone: zone}
	}
	night, midnight := at("02:00", "05:00", time.UTC), at("22:30", "01:15", time.UTC)
	for name, c := range map[string]struct {
		window Window
		moment string
		want   bool
	}{
		"no window":                                  {Window{}, "2026-06-01T14:00:00Z", true},
		"before it":                                  {night, "2026-06-01T01:59:59Z", false},
		"its first moment":                           {night, "2026-06-01T02:00:00Z", true},
		"its last moment":                            {night, "2026-06-01T04:59:59Z", true},
		"after it":                                   {night, "2026-06-01T05:00:00Z", false},
		"the same moment in another zone":            {night, "2026-06-01T04:30:00+02:00", true},
		"over midnight, in the evening":              {midnight, "2026-06-01T23:59:59Z", true},
		"over midnight, in the morning":              {midnight, "2026-06-02T01:14:59Z", true},
		"over midnight, at noon":                     {midnight, "2026-06-02T12:00:00Z", false},
		"to midnight, just before it":                {at("20:00", "00:00", time.UTC), "2026-06-02T23:59:59Z", true},
		"to midnight, at midnight":                   {at("20:00", "00:00", time.UTC), "2026-06-03T00:00:00Z", false},
		"summer time":                                {at("02:00", "05:00", berlin), "2026-06-01T00:30:00Z", true},
		"winter time":                                {at("02:00", "05:00", berlin), "2026-12-01T00:30:00Z", false},
		"clocks set forward: before the change":      {at("02:00", "05:00", berlin), "2026-03-29T00:59:59Z", false}, // 01:59:59
		"clocks set forward: after the change":       {at("02:00", "05:00", berlin), "2026-03-29T01:00:00Z", true},  // 03:00
		"clocks set forward: a window that is gone":  {at("02:00", "03:00", berlin), "2026-03-29T01:00:00Z", false},
		"clocks set back: the first time":            {at("02:00", "03:00", berlin), "2026-10-25T00:30:00Z", true},
		"clocks set back: the second time":           {at("02:00", "03:00", berlin), "2026-10-25T01:30:00Z", true},
		"clocks set back: between 01:00 and 02:30":   {at("01:00", "02:30", berlin), "2026-10-25T00:45:00Z", false}, // 02:45
		"clocks set back: and into the window again": {at("01:00", "02:30", berlin), "2026-10-25T01:15:00Z", true},  // 02:15
	} {
		moment, err := time.Parse(time.RFC3339, c.moment)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.window.Contains(moment); got != c.want {
			t.Errorf("%s: %s in %v: %v, want %v", name, c.moment, c.window, got, c.want)
		}
	}
}
