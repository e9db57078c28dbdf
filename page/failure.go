package page

import (
	"context"
	"errors"

	"closewait_exporter/report"
)

// failure explains why there are no results.
type failure struct {
	What, Advice string
}

func newFailure(err error) *failure {
	if errors.Is(err, context.DeadlineExceeded) {
		return &failure{
			What: "The scan takes longer than this page waits for it. It continues in the background.",
			Advice: "Refresh in a moment. If this message stays, a read of /proc or a call into the kernel hangs, or the host has more " +
				"sockets than a scan can read in time.",
		}
	}
	return &failure{
		What:   "Error: " + report.Text(err.Error()),
		Advice: "The page never shows old numbers. closewait_scan_success is 0 until a scan succeeds.",
	}
}
