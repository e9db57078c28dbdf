package policy

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestTheDocumentHasEveryDecision holds the closed set of decisions, which is part of the metrics.
func TestTheDocumentHasEveryDecision(t *testing.T) {
	const path = "../../docs/REAPER.md"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), "\n| decision | what it means | what to do |\n")
	table, _, _ = strings.Cut(table, "\n\n")
	var documented []Label
	for _, row := range regexp.MustCompile("(?m)^\\| `(\\w+)` \\|").FindAllStringSubmatch(table, -1) {
		documented = append(documented, Label(row[1]))
	}
	labels := Labels()
	slices.Sort(labels)
	slices.Sort(documented)
	if diff := cmp.Diff(labels, documented); diff != "" {
		t.Errorf("%s (-code +document):\n%s", path, diff)
	}
}
