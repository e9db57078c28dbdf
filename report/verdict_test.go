package report

import (
	"strings"
	"testing"

	"closewait_exporter/closewait"
	"closewait_exporter/diagnose"
)

func TestVerdictsAreShownBelowTheTable(t *testing.T) {
	r := growing()
	id := r.Listed[0].ID
	says := func(kind diagnose.Kind) string {
		r.Verdicts = map[closewait.ProcessID]diagnose.Verdict{id: {Kind: kind, Summary: "It is \x1b[2J\u202e."}}
		return processes(t, r)
	}
	const want = "Process 8 (shop): It is \\x1b[2J\\u202e.\nclosewait_exporter diagnose PID says more.\n"
	if got := says(diagnose.NeverCloses); !strings.Contains(got, want) {
		t.Errorf("%q is not in\n%s", want, got)
	}
	for _, kind := range []diagnose.Kind{diagnose.Unknown, diagnose.NothingWrong} {
		if got := says(kind); strings.Contains(got, "Process 8") || strings.Contains(got, "says more") {
			t.Errorf("the verdict %s is shown:\n%s", kind, got)
		}
	}
}
