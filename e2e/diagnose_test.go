package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"closewait_exporter/internal/leaktest"
)

// diagnosis is the JSON of diagnose, as far as the tests read it.
type diagnosis struct {
	Process struct {
		PID     int
		Runtime string
	}
	Verdict struct {
		Kind, Confidence, Summary, Next string
		Wrong                           bool
		Evidence                        []string
	}
	Unread  []unreadLine
	Threads []struct {
		Call  string
		Still bool
	}
}

// unreadLine is a line that --peek shows.
type unreadLine struct {
	Sockets     int
	Whose, Line string
}

// diagnosed runs diagnose, and checks that the exit status fits the verdict.
func diagnosed(t *testing.T, args ...string) (d diagnosis) {
	t.Helper()
	cmd := exec.Command(program(t), append([]string{"diagnose", "--output=json"}, args...)...)
	out, err := cmd.Output()
	status := 0
	if failed := new(exec.ExitError); errors.As(err, &failed) {
		status = failed.ExitCode()
		if status == 1 {
			t.Fatalf("diagnose %v: %s", args, failed.Stderr)
		}
	} else if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(out, &d); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	if want := map[bool]int{true: 2, false: 0}[d.Verdict.Wrong]; status != want {
		t.Errorf("exit status %d with the verdict %s, want %d", status, d.Verdict.Kind, want)
	}
	return d
}

// awaitVerdict waits until the diagnosis of a process is of a kind. Before that there can be
// nothing to see yet, or too little, and on a busy machine the process may really get no
// processor. Any other verdict is wrong. The texts are in the verdict.
func awaitVerdict(t *testing.T, pid int, kind string, texts ...string) (d diagnosis) {
	t.Helper()
	early := []string{"nothing_wrong", "unknown", "overload"}
	pace := time.NewTicker(2 * time.Second) // a leak has to be 5 s old, and a diagnosis costs CPU time
	defer pace.Stop()
	leaktest.Eventually(t, 2*maxWait, func() (bool, string) {
		d = diagnosed(t, strconv.Itoa(pid))
		if d.Verdict.Kind != kind && !slices.Contains(early, d.Verdict.Kind) {
			t.Fatalf("verdict %s of process %d, want %s: %+v", d.Verdict.Kind, pid, kind, d)
		}
		done := d.Verdict.Kind == kind && d.says(texts)
		if !done {
			<-pace.C
		}
		return done, fmt.Sprintf("the verdict is %+v, want %s with %q", d, kind, texts)
	})
	t.Logf("%s (%s): %s\n%s\n%s", d.Verdict.Kind, d.Verdict.Confidence, d.Verdict.Summary, strings.Join(d.Verdict.Evidence, "\n"), d.Verdict.Next)
	return d
}

// says reports whether all texts are in the verdict.
func (d *diagnosis) says(texts []string) bool {
	all := d.Verdict.Summary + "\n" + strings.Join(d.Verdict.Evidence, "\n") + "\n" + d.Verdict.Next
	return !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(all, text) })
}

// TestDiagnoseTellsWhyASocketLeaks has one leak of each kind that cmd/leak makes.
func TestDiagnoseTellsWhyASocketLeaks(t *testing.T) {
	leaktest.RequireRoot(t)
	for _, tt := range []struct {
		flags, kind string
		says        []string
	}{
		{"--sockets=3 --unread=none", "never_closes", []string{"3 with the end read", "inbound port"}},
		{"--sockets=3 --unread=fin", "never_reads", []string{"3 with only the end unread"}},
		{"--sockets=3 --unread=300", "never_reads", []string{"3 with data unread"}},
		{"--outbound=3 --unread=fin", "idle_pool", []string{"outbound port", "pprof"}},
		{"--closed=3", "never_closes", []string{"3 over on both sides"}},
		{"--unaccepted=3", "accept_queue", []string{"3 wait", "No thread waits for this listener"}},
		{"--sockets=3 --children=1", "shared", []string{"Other holders: pid"}},
		{"--stream=2", "half_close", []string{"data still flows"}},
		{"--established=3 --churn=20", "nothing_wrong", []string{"open connections"}},
	} {
		t.Run(tt.flags, func(t *testing.T) {
			t.Parallel()
			leak := leaktest.Start(t, strings.Fields(tt.flags)...)
			d := awaitVerdict(t, leak.PID, tt.kind, tt.says...)
			if d.Process.Runtime != "go" {
				t.Errorf("runtime %s, want go", d.Process.Runtime)
			}
		})
	}
}

func TestDiagnoseTellsThatAProcessIsStopped(t *testing.T) {
	leaktest.RequireRoot(t)
	leak := leaktest.Start(t, "--sockets=2", "--unread=none")
	leak.Signal(syscall.SIGSTOP)
	d := awaitVerdict(t, leak.PID, "halted", "threads stopped")
	if d.Verdict.Confidence != "sure" {
		t.Errorf("confidence %s, want sure", d.Verdict.Confidence)
	}
	leak.Signal(syscall.SIGCONT)
}
