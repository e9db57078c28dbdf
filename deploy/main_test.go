// Package deploy tests how the exporter is installed and run, with the programs that people use:
// systemd, dpkg, rpm, buildah, podman and the types of Kubernetes.
package deploy

import (
	"io"
	"net/http"
	"os"
	"os/exec"
	"testing"
	"time"

	"go.uber.org/goleak"

	"closewait_exporter/internal/leaktest"
)

// maxWait bounds the wait for what takes a second on an idle machine.
const maxWait = 60 * time.Second

// longVariable is the environment variable that enables what takes minutes.
const longVariable = "CLOSEWAIT_LONG"

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// require skips the test where a program is missing.
func require(t *testing.T, programs ...string) {
	t.Helper()
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("needs %s (scripts/test-deps installs it): %v", program, err)
		}
	}
}

// run runs a program in the root of the repository and returns what it writes.
func run(t *testing.T, program string, args ...string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), program, args...)
	command.Dir = ".."
	output, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", program, args, err, output)
	}
	return string(output)
}

// get gets a URL of this host.
func get(url string) (string, error) {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: maxWait}
	answer, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	return string(body), err
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// exporter builds the program, once for all tests.
func exporter(t *testing.T) string {
	t.Helper()
	return leaktest.BuildExporter(t)
}
