package collector_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"closewait_exporter/collector"
	"closewait_exporter/reaper"
)

// allMetrics returns both tables: the document describes all metrics.
func allMetrics() []collector.Metric { return append(collector.Metrics(), reaper.MetricTable()...) }

const documentPath = "../docs/METRICS.md"

func document(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(documentPath)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var (
	tableRow   = regexp.MustCompile("(?m)^\\| `(closewait_[a-z_]+)` \\| ([a-z]+) \\| (.*?) ?\\| (.+) \\|$")
	codeSpan   = regexp.MustCompile("`([a-z]+)`")
	metricName = regexp.MustCompile(`\bclosewait_[a-z_]+`)
	queries    = regexp.MustCompile("(?s)```promql\n(.*?)```")
)

func TestTheDocumentHasEveryMetricWithItsTypeAndLabels(t *testing.T) {
	documented := map[string]collector.Metric{}
	for _, row := range tableRow.FindAllStringSubmatch(document(t), -1) {
		m := collector.Metric{Name: row[1], Type: collector.Type(row[2])}
		for _, span := range codeSpan.FindAllStringSubmatch(row[3], -1) {
			m.Labels = append(m.Labels, span[1])
		}
		if _, twice := documented[m.Name]; twice {
			t.Errorf("%s is in two rows", m.Name)
		}
		documented[m.Name] = m
	}
	tabled := map[string]collector.Metric{}
	for _, m := range allMetrics() {
		m.Help = ""
		tabled[m.Name] = m
	}
	if diff := cmp.Diff(tabled, documented); diff != "" {
		t.Errorf("%s (-code +document):\n%s", documentPath, diff)
	}
}

func TestTheDocumentNamesOnlyExistingMetrics(t *testing.T) {
	known := map[string]bool{}
	for _, m := range allMetrics() {
		known[m.Name] = true
		if m.Type == collector.Histogram || m.Type == collector.GaugeHistogram {
			known[m.Name+"_bucket"], known[m.Name+"_sum"], known[m.Name+"_count"] = true, true, true
		}
	}
	for _, name := range metricName.FindAllString(document(t), -1) {
		if !known[name] {
			t.Errorf("%s: there is no %s", documentPath, name)
		}
	}
}

func TestTheDocumentHasTheRightNumberOfSeries(t *testing.T) {
	if want := fmt.Sprintf("at most %d series", collector.SeriesPerProcess); !strings.Contains(document(t), want) {
		t.Errorf("%s does not say %q", documentPath, want)
	}
}

func TestTheQueriesOfTheDocumentAreValid(t *testing.T) {
	path, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("no promtool (Debian: apt-get install prometheus)")
	}
	rules := "groups:\n- name: documented\n  rules:\n"
	count := 0
	for _, block := range queries.FindAllStringSubmatch(document(t), -1) {
		for query := range strings.Lines(block[1]) {
			rules += fmt.Sprintf("  - record: query_%d\n    expr: |\n      %s", count, query)
			count++
		}
	}
	file := filepath.Join(t.TempDir(), "rules.yml")
	if err := os.WriteFile(file, []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(path, "check", "rules", file).CombinedOutput()
	if err != nil || count == 0 {
		t.Errorf("%d queries: %v\n%s", count, err, out)
	}
}
