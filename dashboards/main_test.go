// Package dashboards has no code: closewait.json is for Grafana, and these are its checks.
package dashboards

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
