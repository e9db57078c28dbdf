package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"closewait_exporter/internal/leaktest"
	"closewait_exporter/internal/promtest"
)

// TestTheFirstAlertOfTheReadme follows the README in a fresh clone, up to the alert for the user's
// own leak.
func TestTheFirstAlertOfTheReadme(t *testing.T) {
	leaktest.RequireRoot(t)
	leaktest.RequireProgram(t, "prometheus")
	leaktest.RequireProgram(t, "make")
	t.Parallel()
	clone, blocks := clone(t), blocksOf(t, "First alert")
	if len(blocks) < 2 {
		t.Fatalf("%d blocks of code, want two that start the demo and a leak", len(blocks))
	}
	demo, own := blocks[0], blocks[1]
	exporter, prometheus := freeAddress(t), promtest.Prometheus{Address: freeAddress(t)}
	env := append(os.Environ(), "LISTEN="+exporter, "PROMETHEUS="+prometheus.Address)

	u := startSession(t, clone, env, demo)
	awaitOutput(t, u, "http://"+prometheus.Address+"    Prometheus")
	startSession(t, clone, env, own)
	for _, comm := range []string{"leaky-shop", "mine"} {
		firing := fmt.Sprintf(`ALERTS{alertname="ClosewaitLeak",alertstate="firing",instance="%s"}
			and on (instance, group) closewait_process_old_sockets{comm="%s"}`, exporter, comm)
		awaitLong(t, u, func() bool {
			values, err := prometheus.Query(firing)
			return err == nil && len(values) > 0
		}, firing)
	}
	dryRun(t, clone)
	u.interrupt(t, exporter)
}

// dryRun follows the README for the reaper, with the rules unchanged.
func dryRun(t *testing.T, clone string) {
	t.Helper()
	lines := strings.ReplaceAll(blocksOf(t, "The reaper, in dry run")[0], "sudo ", "") // we are root
	command := exec.Command("sh", "-e", "-c", lines)
	command.Dir = clone
	command.Env = append(os.Environ(), "EDITOR=true")
	if out, err := command.CombinedOutput(); err != nil || !strings.Contains(string(out), "reaper.yml: valid") {
		t.Errorf("%s%v\n%s", lines, err, out)
	}
}

// blocksOf returns the blocks of code in a section of the README.
func blocksOf(t *testing.T, title string) []string {
	t.Helper()
	_, section, found := strings.Cut(string(read(t, "../README.md")), "\n## "+title+"\n")
	if !found || !strings.Contains(section, "\n```\n") {
		t.Fatalf("the README has no section %q with a block of code", title)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	var blocks []string
	for _, match := range regexp.MustCompile("(?s)\n```\n(.*?)```").FindAllStringSubmatch(section, -1) {
		blocks = append(blocks, match[1])
	}
	return blocks
}
