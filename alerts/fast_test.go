package alerts

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// spansOfTime matches everything that differs in rules that are 60 times as fast.
var spansOfTime = regexp.MustCompile(`\b[0-9]+[smhdwy]\b|\b3600\b`)

// faster returns the scaled span of time.
func faster(span string) string {
	last := len(span) - 1
	switch {
	case span == "3600":
		return "60"
	case span[last] == 'h':
		return span[:last] + "m"
	case span[last] == 'm':
		return span[:last] + "s"
	case span[last] == 's':
		return "1s"
	}
	return span
}

// scaled makes a file 60 times as fast, as alerts/README.md describes.
func scaled(t *testing.T, path string) string {
	t.Helper()
	return mustRun(t, tool(t, "sed", "sed"), "-E", "-f", "scale-60.sed", path)
}

// scaledCopies writes scaled copies of the rules and the configurations to a new directory.
func scaledCopies(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for _, path := range []string{rulesPath, prometheusPath, alertmanagerPath} {
		if err := os.WriteFile(filepath.Join(dir, path), []byte(scaled(t, path)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestScalingChangesOnlySpansOfTime(t *testing.T) {
	for _, path := range []string{rulesPath, prometheusPath, alertmanagerPath} {
		want := spansOfTime.ReplaceAllStringFunc(string(read(t, path)), faster)
		if diff := cmp.Diff(want, scaled(t, path)); diff != "" {
			t.Errorf("scale-60.sed %s (-want +got):\n%s", path, diff)
		}
	}
	dir := scaledCopies(t)
	promtool(t, "check", "config", filepath.Join(dir, prometheusPath)) // and the rules, to which it refers
	amtool(t, "check-config", filepath.Join(dir, alertmanagerPath))
}

func TestEachSpanOfTimeOfTheRulesCanBeScaled(t *testing.T) {
	for _, span := range spansOfTime.FindAllString(string(read(t, rulesPath)), -1) {
		if fast := faster(span); fast == span || fast == "1s" && span != "1m" {
			t.Errorf("%s: write spans of time in m, in h or as a multiple of 3600", span)
		}
	}
}
