package child

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"closewait_exporter/internal/leaktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ask runs a script of the shell as the child process.
func ask(t *testing.T, ctx context.Context, within time.Duration, script string) (lines []string, err error) {
	t.Helper()
	command := []string{leaktest.RequireProgram(t, "sh"), "-c", script}
	err = Ask(ctx, command, within, map[string]int{"number": 7}, func(line []byte) { lines = append(lines, string(line)) })
	return lines, err
}

func TestAnswersAreLines(t *testing.T) {
	lines, err := ask(t, t.Context(), time.Minute, "cat; echo; echo second")
	if got := strings.Join(lines, "|"); err != nil || got != `{"number":7}|second` {
		t.Errorf("%s, error %v", got, err)
	}
	if _, err := ask(t, t.Context(), time.Minute, "exit 3"); err == nil || err.Error() != "exit status 3" {
		t.Errorf("error %v, want exit status 3", err)
	}
	if err := Ask(t.Context(), nil, time.Minute, 0, nil); err == nil {
		t.Error("no error without a program")
	}
}

// TestALateChildIsAbandoned keeps the answers that came in time.
func TestALateChildIsAbandoned(t *testing.T) {
	lines, err := ask(t, t.Context(), 2*time.Second, "echo first; exec sleep 600")
	if !errors.Is(err, ErrLate) || len(lines) != 1 || lines[0] != "first" {
		t.Errorf("%q, error %v, want the first answer and %v", lines, err, ErrLate)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := ask(t, ctx, time.Hour, "exec sleep 600"); !errors.Is(err, ErrLate) {
		t.Errorf("error %v, want %v", err, ErrLate)
	}
}

func TestALongLineIsAnError(t *testing.T) {
	if _, err := ask(t, t.Context(), time.Minute, "head -c 2000000 /dev/zero"); err == nil {
		t.Error("no error for a line of 2 MB")
	}
}
