package page

import (
	"context"
	"errors"

	"closewait_exporter/report"
)

// failure says why there is nothing to show.
type failure struct {
	What, Advice string
}

func newFailure(err error) *failure {
	if errors.Is(err, context.DeadlineExceeded) {
		return &failure{
			What: "The scan takes longer than a page may wait for it. It goes on by itself.",
			Advice: "Look again in a moment. If this stays, something hangs in the kernel or in /proc, or the host has more sockets than a scan " +
				"can read in time.",
		}
	}
	return &failure{
		What:   "The scan failed: " + report.Text(err.Error()),
		Advice: "Old numbers are never shown. Scrapes say closewait_scan_success 0 meanwhile.",
	}
}
