package e2e

import (
	"encoding/json"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"closewait_exporter/internal/leaktest"
	"closewait_exporter/internal/promtest"
)

// TestVerdictsAreOnThePageInTheAPIAndInTheWatchedList has a leak that nothing can hang on.
func TestVerdictsAreOnThePageInTheAPIAndInTheWatchedList(t *testing.T) {
	leaktest.RequireRoot(t)
	leak := leaktest.Start(t, "--sockets=30", "--unread=none", "--comm=verdict")
	const verdict = "It has read the end of 30 connections and did not call close()."
	e := serve(t)
	var screen promtest.Transcript
	watch := exec.Command(program(t), "list", "--watch=1s")
	watch.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	stdout, err := watch.StdoutPipe()
	must(t, err)
	must(t, watch.Start())
	read := make(chan struct{})
	go func() { defer close(read); screen.Record(stdout, make(chan string, 1)) }()
	t.Cleanup(func() { _ = watch.Process.Kill(); <-read; _ = watch.Wait() })
	leaktest.Eventually(t, maxWait, func() (bool, string) {
		_, page := e.get("/")
		return strings.Contains(page, verdict), page
	})
	leaktest.Eventually(t, maxWait, func() (bool, string) {
		_, answer := e.get("/api/v1/processes")
		got := verdictsIn(t, answer)[leak.PID]
		return got != nil && *got == shortVerdict{"never_closes", "likely", verdict}, answer
	})
	from, err := exec.Command(program(t), "list", "--from=http://"+e.address, "--output=json").Output()
	must(t, err)
	if got := verdictsIn(t, string(from))[leak.PID]; got == nil || got.Summary != verdict {
		t.Errorf("%+v in the list of a running exporter:\n%s", got, from)
	}
	leaktest.Eventually(t, maxWait, func() (bool, string) {
		return strings.Contains(screen.String(), "(verdict): "+verdict), screen.String()
	})
}

// verdictsIn are the verdicts in the JSON of list, by process.
func verdictsIn(t *testing.T, document string) map[int]*shortVerdict {
	t.Helper()
	var list struct {
		Processes []struct {
			PID     int
			Verdict *shortVerdict
		}
	}
	must(t, json.Unmarshal([]byte(document), &list))
	verdicts := map[int]*shortVerdict{}
	for _, p := range list.Processes {
		verdicts[p.PID] = p.Verdict
	}
	return verdicts
}

type shortVerdict struct{ Kind, Confidence, Summary string }
