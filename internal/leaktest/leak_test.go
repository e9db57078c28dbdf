package leaktest_test

import (
	"testing"

	"closewait_exporter/internal/leaktest"
)

func TestLeak(t *testing.T) {
	l := leaktest.Where{NetNS: true}.Start(t, "--sockets=3", "--unaccepted=2")
	rows := leaktest.SS(t, l.PID)
	if len(rows) != 5 {
		t.Errorf("ss sees %d sockets: %+v", len(rows), rows)
	}
	l.Do("close 2")
	if l.Leaked != 1 {
		t.Errorf("%+v", l.State)
	}
}
