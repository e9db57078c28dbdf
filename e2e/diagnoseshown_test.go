package e2e

import (
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"closewait_exporter/internal/leaktest"
	"closewait_exporter/internal/promtest"
)

// TestVerdictsAreOnThePageAndInTheWatchedList has a leak that nothing can hang on.
func TestVerdictsAreOnThePageAndInTheWatchedList(t *testing.T) {
	leaktest.RequireRoot(t)
	leaktest.Start(t, "--sockets=30", "--unread=none", "--comm=verdict")
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
		return strings.Contains(screen.String(), "(verdict): "+verdict), screen.String()
	})
}
