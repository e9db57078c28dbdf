package alerts

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"closewait_exporter/internal/hosttest"
	"closewait_exporter/internal/leaktest"
	"closewait_exporter/internal/promtest"
)

const (
	// At this rate 1,024 descriptors last a minute, which is an hour in the scaled rules: the
	// critical alert needs a trend over half an hour.
	rate = 16
	// within bounds the wait for what takes up to a minute.
	within = 3 * time.Minute
)

// reaperRules match one of the two processes.
const reaperRules = `
interval: 500ms
rules:
  - name: cure
    mode: enforce
    match: {command: .*--comm=cured.*}
    when: {sockets: 850, age: 2s, fds: 80%, direction: inbound, peer_share: 25%}
    steps: [shutdown: {}, signal: {name: TERM, wait: 20s}]
    accept_no_restart: true
`

// TestFromALeakToANotification runs the whole chain as a user gets it: the exporter, a Prometheus
// and an Alertmanager started with the commands of the README, with the files of this directory, 60
// times as fast.
func TestFromALeakToANotification(t *testing.T) {
	hosttest.Require(t)
	t.Parallel() // it waits most of the time
	received := receive(t)
	prometheus := startChain(t)
	leak := leaktest.Start(t, "--comm=shop", "--rate="+strconv.Itoa(rate), "--nofile=1024")
	limit := prometheus.Await(t, `closewait_process_max_fds`+of(leak), 1024, 1024)

	const alert = "ClosewaitDescriptorsRunOutSoon"
	notified := received.await(t, alert, pid(leak), within)
	// The state is read after the notification, so what has not failed by now had not failed then.
	if now := leak.Do("state"); now.Exhausted != 0 {
		t.Fatalf("%s comes too late: the process has leaked %d sockets and run out of descriptors", alert, now.Leaked)
	}
	t.Logf("%s, with %d sockets leaked and %v descriptors allowed: %s", notified.receiver, leak.Leaked, limit, notified.Annotations["summary"])
	if notified.receiver != "/on-call" {
		t.Errorf("%s goes to %s, want /on-call", alert, notified.receiver)
	}

	cure(t, prometheus, received)

	leaktest.Eventually(t, within, func() (bool, string) {
		now := leak.Do("state")
		return now.Exhausted > 0, fmt.Sprintf("the alert was false: %d sockets leaked and descriptors left", now.Leaked)
	})
	for _, alert := range []string{alert, "ClosewaitDescriptorsExhausted"} {
		prometheus.Await(t, `ALERTS{alertname="`+alert+`",alertstate="firing"}`+` and on (pid) closewait_process_open_fds`+of(leak), 1, 1)
	}
	if received.knows("ClosewaitDescriptorsExhausted", pid(leak)) {
		t.Errorf("the same leak has paged again")
	}
}

// cure starts another leaking process, which the reaper ends.
func cure(t *testing.T, prometheus promtest.Prometheus, received *webhook) {
	t.Helper()
	const sockets = 850
	leak := leaktest.Start(t, "--comm=cured", "--sockets="+strconv.Itoa(sockets), "--peers=12", "--rate=2", "--nofile=1024")
	prometheus.Await(t, `sum(closewait_process_sockets`+of(leak)+`)`, sockets, 1024)

	prometheus.Await(t, `closewait_reaper_remediations_total{rule="cure",result="terminated"}`, 1, 1)
	prometheus.Await(t, `closewait_reaper_actions_total{rule="cure",mode="enforce",action="signal"}`, 1, 1)
	prometheus.Await(t, `closewait_reaper_released_sockets_total{rule="cure"}`, sockets, 1024)
	prometheus.Await(t, `closewait_reaper_released_fds_total{rule="cure"}`, sockets, 1024)
	prometheus.Await(t, `absent(closewait_process_sockets`+of(leak)+`)`, 1, 1)
	if held := leaktest.Descriptors(t, leak.PID, leaktest.OfProcess); len(held) != 0 {
		t.Errorf("the process still holds %d sockets", len(held))
	}
	notified := received.await(t, "ClosewaitReaperActed", map[string]string{"rule": "cure"}, within)
	t.Logf("%s: %s", notified.receiver, notified.Annotations["summary"])
	if notified.receiver != "/log" {
		t.Errorf("ClosewaitReaperActed goes to %s, want /log", notified.receiver)
	}
}

func of(l *leaktest.Leak) string { return fmt.Sprintf(`{pid="%d"}`, l.PID) }

func pid(l *leaktest.Leak) map[string]string {
	return map[string]string{"pid": strconv.Itoa(l.PID)}
}

// startChain starts everything between a leak and the webhook.
func startChain(t *testing.T) promtest.Prometheus {
	t.Helper()
	dir := scaledCopies(t)
	prometheus := exec.Command(leaktest.RequireProgram(t, "prometheus"), asTheReadmeSays(t, "prometheus", dir)...)
	alertmanager := exec.Command(promtest.Alertmanager(t), asTheReadmeSays(t, "prometheus-alertmanager", dir)...)

	rules := filepath.Join(dir, "reaper.yml")
	if err := os.WriteFile(rules, []byte(reaperRules), 0o600); err != nil {
		t.Fatal(err)
	}
	promtest.Start(t, exec.Command(leaktest.BuildExporter(t), "--collector.old-age=5s",
		"--reaper.config="+rules, "--reaper.enforce", "--reaper.state-file="+filepath.Join(dir, "state.json"),
		"--reaper.audit-file="+filepath.Join(dir, "audit.jsonl")))
	promtest.Start(t, alertmanager)
	_, port, _ := strings.Cut(promtest.Start(t, prometheus), "]:") // it listens on all addresses
	p := promtest.Prometheus{Address: "localhost:" + port}
	p.Await(t, `closewait_scan_success`, 1, 1)
	return p
}

// asTheReadmeSays returns the arguments with which the README starts a program, with other paths.
func asTheReadmeSays(t *testing.T, program, dir string) []string {
	t.Helper()
	line := regexp.MustCompile(`(?m)^` + program + ` .*$`).FindString(string(read(t, "../README.md")))
	if line == "" {
		t.Fatalf("the README does not say how to start %s", program)
	}
	return strings.Fields(strings.NewReplacer("=alerts/", "="+dir+"/", "=/tmp/", "="+dir+"/").Replace(line))[1:]
}
