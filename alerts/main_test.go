package alerts

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"closewait_exporter/internal/hosttest"
)

// TestMain runs the tests on their own host where that is possible: a reaper acts in one of them,
// and the ports of the example configurations are free there.
func TestMain(m *testing.M) {
	if err := hosttest.Move(); err != nil {
		fmt.Fprintln(os.Stderr, "the alerts are not tested with a live Prometheus:", err)
	}
	goleak.VerifyTestMain(m)
}
