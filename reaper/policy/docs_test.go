package policy

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestTheDocumentsHaveEveryDecision holds the closed sets of decisions, which are part of the
// metrics.
func TestTheDocumentsHaveEveryDecision(t *testing.T) {
	const reaper, runbook = "../../docs/REAPER.md", "../../docs/RUNBOOK.md"
	for _, c := range []struct {
		path, section, table string
		labels               []Label
	}{
		{reaper, "\n## Why did it not act?\n", "\n| decision | what it means | what to do |\n", Labels()},
		{reaper, "\n### A leak that stays blocked\n", "\n| `by` | when |\n", Blockers()},
		{runbook, "\n## ClosewaitReaperBlocked\n", "\n| reason | meaning | do |\n", Blockers()},
	} {
		text, err := os.ReadFile(c.path)
		if err != nil {
			t.Fatal(err)
		}
		_, table, _ := strings.Cut(string(text), c.section)
		_, table, _ = strings.Cut(table, c.table)
		table, _, _ = strings.Cut(table, "\n\n")
		var documented []Label
		for line := range strings.Lines(table) {
			first, _, _ := strings.Cut(strings.TrimPrefix(line, "|"), "|")
			for _, name := range regexp.MustCompile("`(\\w+)`").FindAllStringSubmatch(first, -1) {
				documented = append(documented, Label(name[1]))
			}
		}
		slices.Sort(c.labels)
		slices.Sort(documented)
		if diff := cmp.Diff(c.labels, documented); diff != "" {
			t.Errorf("%s, in %q (-code +document):\n%s", c.path, strings.TrimSpace(c.section), diff)
		}
	}
}
