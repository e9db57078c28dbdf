package report

import (
	"fmt"
	"strconv"
	"time"

	"closewait_exporter/closewait"
)

const day = 24 * time.Hour

// Duration formats a duration as its two largest units: 45s, 3m12s, 2h05m, 3d04h.
func Duration(d time.Duration) string {
	switch {
	case d < time.Second:
		return "<1s"
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", d/time.Minute, d%time.Minute/time.Second)
	case d < day:
		return fmt.Sprintf("%dh%02dm", d/time.Hour, d%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%dd%02dh", d/day, d%day/time.Hour)
}

// Age formats the age of a socket at the time now.
func Age(s *closewait.Socket, now time.Time) string { return age(s.Age(now), s.AgeIsLowerBound) }

// age formats an age: 5s, >=5s if it is a lower bound, or ? if nothing is known about it.
func age(d time.Duration, lowerBound bool) string {
	switch {
	case !lowerBound:
		return Duration(d)
	case d < time.Second:
		return "?"
	}
	return ">=" + Duration(d)
}

// quiet formats how long nothing has moved on a socket.
func quiet(s *closewait.Socket, now time.Time) string {
	if s.QuietSince.IsZero() {
		return "moving"
	}
	return Duration(s.Quiet(now))
}

// size formats a number of bytes with one decimal: 512B, 1.2MiB.
func size(n uint64) string {
	const unit, roundsUp = 1024, 1023.95
	switch {
	case n == 0:
		return "0"
	case n < unit:
		return fmt.Sprintf("%dB", n)
	}
	value := float64(n) / unit
	for _, suffix := range []string{"KiB", "MiB", "GiB"} {
		if value < roundsUp {
			return fmt.Sprintf("%.1f%s", value, suffix)
		}
		value /= unit
	}
	return fmt.Sprintf("%.1fTiB", value)
}

// percent formats a share. It rounds down, so that 100% means all.
func percent(part, whole uint64) string {
	const hundred = 100
	share := part * hundred / whole
	if part > 0 && share == 0 {
		return "<1%"
	}
	return strconv.FormatUint(share, 10) + "%"
}

// descriptors formats the open descriptors of a process, its limit and the share.
func descriptors(p *closewait.Process) string {
	open := "?"
	if p.FDsKnown {
		open = strconv.FormatUint(p.OpenFDs, 10)
	}
	switch p.MaxFDs {
	case closewait.UnlimitedFDs:
		return open + "/unlimited"
	case 0: // unknown
		return open + "/?"
	}
	text := open + "/" + strconv.FormatUint(p.MaxFDs, 10)
	if p.FDsKnown {
		text += " " + percent(p.OpenFDs, p.MaxFDs)
	}
	return text
}

// direction is the short form that stands next to a port.
func direction(d closewait.Direction) string {
	switch d {
	case closewait.Inbound:
		return "in"
	case closewait.Outbound:
		return "out"
	}
	return "?"
}

// port formats a service port the way addresses end.
func port(p uint16) string {
	if p == 0 { // see Facts.Port
		return "other"
	}
	return fmt.Sprintf(":%d", p)
}

// Count formats a number with its noun.
func Count(n int, noun string) string {
	switch {
	case n == 1:
		return "1 " + noun
	case noun == "process":
		return fmt.Sprintf("%d processes", n)
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
