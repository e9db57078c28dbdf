package closewait

import "time"

// Growth is how fast a number grows.
type Growth struct {
	PerSecond float64       // negative while it falls; 0 if no trend stands out from the noise
	Over      time.Duration // the time over which it was measured; 0: not known yet
}

// TimeLeft returns the time until a number of descriptors reaches its limit, 0 if it has reached
// it; false if it does not grow, if there is no limit, or if the limit is not known (0). The alert
// on descriptors has the same definition.
func (g Growth) TimeLeft(now, limit uint64) (time.Duration, bool) {
	const forever = 100 * 365 * 24 * time.Hour // the range of a Duration ends soon after that
	switch {
	case limit == 0 || limit == UnlimitedFDs:
		return 0, false
	case now >= limit:
		return 0, true
	case g.PerSecond <= 0:
		return 0, false
	}
	seconds := float64(limit-now) / g.PerSecond
	return time.Duration(min(seconds, forever.Seconds()) * float64(time.Second)), true
}
