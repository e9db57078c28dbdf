package trace

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/internal/leaktest"
	"closewait_exporter/kernel/host"
	"closewait_exporter/kernel/inspect"
)

// TestAnotherProcessWithTheSamePIDIsNotTraced has a process that has ended, and whose pid another
// process got.
func TestAnotherProcessWithTheSamePIDIsNotTraced(t *testing.T) {
	leaktest.RequireRoot(t)
	h, err := host.Open(host.DefaultPath)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	id, err := inspect.Find(h, os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	id.Start--
	tracer := &Tracer{Host: h, For: time.Hour, Started: func() { t.Error("the trace has begun") }}
	trace, err := tracer.Trace(t.Context(), &closewait.Process{ID: id})
	if !errors.Is(err, closewait.ErrGone) || !strings.Contains(err.Error(), fmt.Sprintf("trace process %d: process has ended", id.PID)) {
		t.Errorf("%+v, %v", trace, err)
	}
}
