package symbols

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"closewait_exporter/closewait"
	"closewait_exporter/internal/leaktest"
	"closewait_exporter/origin"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// namesFrom reads names with a child process that writes a text and may then hang.
func namesFrom(t *testing.T, text, then string) *Names {
	t.Helper()
	script := "cat > /dev/null; printf '%s\\n' '" + text + "'; " + then
	r := &Reader{Child: []string{leaktest.RequireProgram(t, "sh"), "-c", script}, ChildTime: 2 * time.Second}
	return r.Read(t.Context(), closewait.ProcessID{PID: 1, Start: 1}, []uint64{1, 2, 3, 4})
}

const answers = `{"address":1,"frames":[{"function":"f","language":"go"},{"function":"g","language":"go"}]}
{"address":2}
{"note":"A note."}
{"address":3,"frames":[{"module":"/lib/x"}]}
{"address":`

func TestStacksEndWhereNoCodeIs(t *testing.T) {
	names := namesFrom(t, answers, "true")
	f, g := origin.Frame{Function: "f", Language: origin.Go}, origin.Frame{Function: "g", Language: origin.Go}
	module := origin.Frame{Module: "/lib/x"}
	for _, tt := range []struct {
		addresses []uint64
		want      []origin.Frame
		cut       bool
	}{
		{[]uint64{1, 3}, []origin.Frame{f, g, module}, false},
		{[]uint64{3, 2, 1}, []origin.Frame{module}, true},
		{[]uint64{4, 1}, []origin.Frame{{}, f, g}, false}, // 4 has no answer
		{nil, nil, false},
	} {
		got, cut := names.Stack(tt.addresses)
		if diff := cmp.Diff(tt.want, got); diff != "" || cut != tt.cut {
			t.Errorf("%v: cut %t (-want +got):\n%s", tt.addresses, cut, diff)
		}
	}
	if diff := cmp.Diff([]string{"A note."}, names.Notes); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestAHangingReadLosesOnlyNames keeps what came in time: the mappings of a process can hang.
func TestAHangingReadLosesOnlyNames(t *testing.T) {
	names := namesFrom(t, answers, "exec sleep 600")
	if stack, _ := names.Stack([]uint64{1}); len(stack) != 2 {
		t.Errorf("stack %v, want the answer that came in time", stack)
	}
	if last := names.Notes[len(names.Notes)-1]; !strings.Contains(last, "no answer in time") {
		t.Errorf("notes %q", names.Notes)
	}
}
