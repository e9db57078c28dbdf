// Package deploy tests how the exporter is installed and run, with the programs that do it: systemd, dpkg, rpm, buildah,
// podman and the types of Kubernetes.
package deploy

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// patience is for how long a test waits for something that takes a second.
const patience = 60 * time.Second

// longVariable asks for what takes minutes.
const longVariable = "CLOSEWAIT_LONG"

func TestMain(m *testing.M) {
	status := m.Run()
	err := goleak.Find()
	if dir := built.dir; dir != "" {
		err = errors.Join(err, os.RemoveAll(dir))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		status = 1
	}
	os.Exit(status)
}

// require skips a test where a program is missing.
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
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
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

var built struct {
	once sync.Once
	dir  string
	err  error
}

// exporter builds the program, once for all tests.
func exporter(t *testing.T) string {
	t.Helper()
	built.once.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "deploy-"); built.err != nil {
			return
		}
		command := exec.Command("go", "build", "-trimpath", "-o", built.dir, ".")
		command.Dir, command.Env = "..", append(os.Environ(), "CGO_ENABLED=0")
		if output, err := command.CombinedOutput(); err != nil {
			built.err = fmt.Errorf("build the exporter: %w\n%s", err, output)
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return filepath.Join(built.dir, "closewait_exporter")
}
