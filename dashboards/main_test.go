// Package dashboards has no code: it tests closewait.json, which is for Grafana.
package dashboards

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"closewait_exporter/internal/hosttest"
)

// TestMain runs the tests on their own host where that is possible: the dashboard shows a reaper
// that acts, and it must find no process of others.
func TestMain(m *testing.M) {
	if err := hosttest.Move(); err != nil {
		fmt.Fprintln(os.Stderr, "the dashboard is not tested with a live Prometheus:", err)
	}
	goleak.VerifyTestMain(m)
}
