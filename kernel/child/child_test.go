package child

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"closewait_exporter/internal/leaktest"
)

// role is the variable that makes this test program a child process.
const role = "CLOSEWAIT_CHILD_ROLE"

// roles are what a child process does with each request.
var roles = map[string]func(n *int, send func(string) error) error{
	"count": func(n *int, send func(string) error) error {
		for i := range *n {
			if err := send(fmt.Sprint(i)); err != nil {
				return err
			}
		}
		return nil
	},
	"hang": func(_ *int, send func(string) error) error {
		if err := send("first"); err != nil {
			return err
		}
		select {}
	},
	"fail": func(*int, func(string) error) error { return errors.New("cannot") },
}

func TestMain(m *testing.M) {
	if play := roles[os.Getenv(role)]; play != nil {
		if err := Serve(os.Stdin, os.Stdout, play); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	// A killed child process that takes long to end is abandoned.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("closewait_exporter/kernel/child.(*Process).End.func1"))
}

// start starts a child process with a role. It is ended with the test.
func start(t *testing.T, name string, within time.Duration) *Process {
	t.Helper()
	c := Start([]string{leaktest.RequireProgram(t, "env"), role + "=" + name, os.Args[0]}, within)
	t.Cleanup(c.End)
	return c
}

func ask(ctx context.Context, c *Process, n int) (parts []string, err error) {
	err = Ask(ctx, c, n, func(part *string) { parts = append(parts, *part) })
	return parts, err
}

func TestAChildProcessAnswersOneRequestAfterTheOther(t *testing.T) {
	c := start(t, "count", time.Minute)
	for _, n := range []int{3, 0, 2} {
		parts, err := ask(t.Context(), c, n)
		if want := []string{"0", "1", "2"}[:n]; err != nil || !slices.Equal(parts, want) {
			t.Errorf("%q, error %v, want %q", parts, err, want)
		}
	}
}

// TestALateChildIsAskedNothingMore keeps the parts that came in time.
func TestALateChildIsAskedNothingMore(t *testing.T) {
	c := start(t, "hang", 5*time.Second) // with the race detector it takes long to start
	parts, err := ask(t.Context(), c, 1)
	if !errors.Is(err, ErrLate) || !slices.Equal(parts, []string{"first"}) {
		t.Errorf("%q, error %v, want the first part and %v", parts, err, ErrLate)
	}
	if parts, err := ask(t.Context(), c, 1); !errors.Is(err, ErrLate) || len(parts) > 0 {
		t.Errorf("%q, error %v, want none and %v", parts, err, ErrLate)
	}
}

func TestTheDeadlineOfTheCallerCounts(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := ask(ctx, start(t, "hang", time.Hour), 1); !errors.Is(err, ErrLate) {
		t.Errorf("error %v, want %v", err, ErrLate)
	}
}

func TestAChildThatDoesNotAnswerIsAnError(t *testing.T) {
	for name, c := range map[string]*Process{
		"it fails":                   start(t, "fail", time.Minute),
		"there is no program":        Start(nil, time.Minute),
		"the program does not exist": Start([]string{"/nonexistent"}, time.Minute),
	} {
		if _, err := ask(t.Context(), c, 1); err == nil || errors.Is(err, ErrLate) {
			t.Errorf("%s: error %v", name, err)
		}
		c.End()
	}
}
