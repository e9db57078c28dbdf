// Package dashboards has no code: closewait.json is for Grafana, and these are its checks.
package dashboards

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"closewait_exporter/internal/hosttest"
)

// TestMain gives the tests a host of their own where it may: a reaper that acts is part of what the
// dashboard shows, and it must find no process there that is not of these tests.
func TestMain(m *testing.M) {
	if err := hosttest.Move(); err != nil {
		fmt.Fprintln(os.Stderr, "the dashboard is not tried on a live Prometheus:", err)
	}
	goleak.VerifyTestMain(m)
}
