package e2e

import (
	"io"
	"net/http"
	"os/exec"
	"strings"
	"testing"

	"closewait_exporter/internal/leaktest"
)

// python is the interpreter for which Debian installs modules.
const python = "/usr/bin/python3"

// strictReader parses OpenMetrics with the reference implementation, and prints the value of each
// sample of the ages.
const strictReader = `
import sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse
for family in parse(sys.stdin.read()):
    if family.name == "closewait_process_socket_age_seconds":
        print(family.type)
        for s in family.samples:
            print(s.name, s.labels.get("le", ""), s.value)
`

// TestAStrictReaderAcceptsOpenMetrics scrapes a host with a leak in OpenMetrics, plain and
// compressed.
func TestAStrictReaderAcceptsOpenMetrics(t *testing.T) {
	leaktest.RequireRoot(t)
	if err := exec.Command(python, "-c", "import prometheus_client.openmetrics.parser").Run(); err != nil {
		t.Skipf("no reader of OpenMetrics (Debian: apt-get install python3-prometheus-client): %v", err)
	}
	t.Parallel()
	l := leaktest.Start(t, "--sockets=3", "--unaccepted=1")
	e := serve(t)
	e.await(func(m metrics) (bool, string) { return m.sockets(l.PID) == 3, "not listed" })

	for name, compressed := range map[string]bool{"plain": false, "compressed": true} {
		t.Run(name, func(t *testing.T) {
			reader := exec.Command(python, "-c", strictReader)
			reader.Stdin = strings.NewReader(openMetrics(t, e.address, compressed))
			output, err := reader.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, output)
			}
			for _, want := range []string{"gaugehistogram\n", "closewait_process_socket_age_seconds_bucket +Inf 4\n", "closewait_process_socket_age_seconds_gcount  4\n"} {
				if !strings.Contains(string(output), want) {
					t.Errorf("there is no %q in\n%s", want, output)
				}
			}
		})
	}
}

func openMetrics(t *testing.T, address string, compressed bool) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Accept", "application/openmetrics-text; version=1.0.0")
	// The transport decompresses what it has asked for itself.
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DisableCompression: !compressed}}
	answer, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	if answer.Uncompressed != compressed {
		t.Errorf("the answer was compressed: %v, want %v", answer.Uncompressed, compressed)
	}
	return string(text)
}
