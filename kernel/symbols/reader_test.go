package symbols

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"closewait_exporter/closewait"
	"closewait_exporter/internal/leaktest"
	"closewait_exporter/kernel/child"
	"closewait_exporter/origin"
)

// role is the variable that makes this test program a child process.
const role = "CLOSEWAIT_SYMBOLS_ROLE"

// answers are what the child process says, whatever it is asked.
var answers = []answer{
	{Address: 1, Frames: []origin.Frame{{Function: "f", Language: origin.Go}, {Function: "g", Language: origin.Go}}},
	{Address: 2},
	{Note: "A note."},
	{Address: 3, Frames: []origin.Frame{{Module: "/lib/x"}}},
}

func TestMain(m *testing.M) {
	if play := os.Getenv(role); play != "" {
		err := child.Serve(os.Stdin, os.Stdout, func(_ *request, send func(answer) error) error {
			for _, a := range answers {
				if err := send(a); err != nil {
					return err
				}
			}
			if play == "hang" {
				select {}
			}
			return nil
		})
		if err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	// A killed child process that takes long to end is abandoned.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("closewait_exporter/kernel/child.(*Process).End.func1"))
}

// namesFrom reads names with a child process that gives the answers and, if told to, hangs then.
func namesFrom(t *testing.T, play string) *Names {
	t.Helper()
	r := &Reader{Child: []string{leaktest.RequireProgram(t, "env"), role + "=" + play, os.Args[0]}, ChildTime: 5 * time.Second}
	return r.Read(t.Context(), closewait.ProcessID{PID: 1, Start: 1}, []uint64{1, 2, 3, 4})
}

func TestStacksEndWhereNoCodeIs(t *testing.T) {
	names := namesFrom(t, "answer")
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
	names := namesFrom(t, "hang")
	if stack, _ := names.Stack([]uint64{1}); len(stack) != 2 {
		t.Errorf("stack %v, want the answer that came in time", stack)
	}
	if last := names.Notes[len(names.Notes)-1]; !strings.Contains(last, "no answer in time") {
		t.Errorf("notes %q", names.Notes)
	}
}
