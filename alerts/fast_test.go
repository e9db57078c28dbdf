package alerts

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// spansOfTime are all that is different in rules that are 60 times as fast.
var spansOfTime = regexp.MustCompile(`\b[0-9]+[smhdwy]\b|\b3600\b|le=~"[0-9]+`)

// faster is what a span of time becomes.
func faster(span string) string {
	last := len(span) - 1
	switch {
	case span == "3600":
		return "60"
	case span == `le=~"300`:
		return `le=~"5`
	case span[last] == 'h':
		return span[:last] + "m"
	case span[last] == 'm':
		return span[:last] + "s"
	case span[last] == 's':
		return "1s"
	}
	return span
}

// scaled makes a file 60 times as fast as alerts/README.md says.
func scaled(t *testing.T, path string) string {
	t.Helper()
	return mustRun(t, tool(t, "sed", "sed"), "-E", "-f", "scale-60.sed", path)
}

// scaledCopies are the rules and the configurations, in a directory of their own.
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

func TestWhatIsScaledIsTheSameButForSpansOfTime(t *testing.T) {
	for _, path := range []string{rulesPath, prometheusPath, alertmanagerPath} {
		want := spansOfTime.ReplaceAllStringFunc(string(read(t, path)), faster)
		if diff := cmp.Diff(want, scaled(t, path)); diff != "" {
			t.Errorf("scale-60.sed %s (-want +got):\n%s", path, diff)
		}
	}
	dir := scaledCopies(t)
	promtool(t, "check", "config", filepath.Join(dir, prometheusPath)) // and the rules, which it names
	amtool(t, "check-config", filepath.Join(dir, alertmanagerPath))
}

func TestEachSpanOfTimeOfTheRulesCanBeScaled(t *testing.T) {
	for _, span := range spansOfTime.FindAllString(string(read(t, rulesPath)), -1) {
		if fast := faster(span); fast == span || fast == "1s" && span != "1m" {
			t.Errorf("%s: write spans of time in m, in h or as a multiple of 3600", span)
		}
	}
}
