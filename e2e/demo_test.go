package e2e

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"closewait_exporter/internal/leaktest"
)

// TestTheDemoEndsIfOneOfItsPartsCannotRun starts it beside programs that use its ports, and with an
// exporter and a Prometheus that end.
func TestTheDemoEndsIfOneOfItsPartsCannotRun(t *testing.T) {
	leaktest.RequireProgram(t, "bash")
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { listener.Close() }) // after the tests in parallel
	taken, healthy := listener.Addr().String(), "exec sleep 1000"
	tests := map[string]struct {
		listen, prometheus           string // addresses
		exporterRuns, prometheusRuns string // the programs
		want                         string
	}{
		"another exporter":       {taken, freeAddress(t), healthy, healthy, taken + " is taken by another program, perhaps by make run. Stop it, or choose another address: LISTEN="},
		"another Prometheus":     {freeAddress(t), taken, healthy, healthy, taken + " is taken by another program, perhaps by make run. Stop it, or choose another address: PROMETHEUS="},
		"an exporter that ends":  {freeAddress(t), freeAddress(t), "exit 1", healthy, "The exporter has ended"},
		"a Prometheus that ends": {freeAddress(t), freeAddress(t), healthy, "exit 1", "Prometheus has ended"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			write := func(path, text string) {
				path = filepath.Join(dir, path)
				must(t, os.MkdirAll(filepath.Dir(path), 0o755))
				must(t, os.WriteFile(path, []byte(text), 0o755))
			}
			write("scripts/demo", string(read(t, "../scripts/demo")))
			write("closewait_exporter", "#!/bin/sh\n"+test.exporterRuns+"\n")
			write("bin/leak", "#!/bin/sh\n"+healthy+"\n")
			write("fakes/prometheus", "#!/bin/sh\n"+test.prometheusRuns+"\n")
			write("fakes/go", "#!/bin/sh\n") // which would build bin/leak
			alerts, err := filepath.Abs("../alerts")
			must(t, err)
			must(t, os.Symlink(alerts, filepath.Join(dir, "alerts")))

			limited, cancel := context.WithTimeout(t.Context(), maxWait)
			defer cancel()
			command := exec.CommandContext(limited, filepath.Join(dir, "scripts", "demo"))
			command.Cancel = func() error { return command.Process.Signal(os.Interrupt) } // it stops what it has started
			command.Env = append(os.Environ(), "PATH="+filepath.Join(dir, "fakes")+":"+os.Getenv("PATH"), "LISTEN="+test.listen, "PROMETHEUS="+test.prometheus)
			output, err := command.CombinedOutput()
			if err == nil || !strings.Contains(string(output), test.want) || strings.Contains(string(output), "keeps leaking") {
				t.Errorf("error %v, want %q in\n%s", err, test.want, output)
			}
		})
	}
}

// TestMakeSaysHowToBuildWhereRootHasNoGo: sudo make run fails where only the user's PATH has Go.
func TestMakeSaysHowToBuildWhereRootHasNoGo(t *testing.T) {
	make, err := exec.LookPath("make")
	if err != nil {
		t.Skip("make is not installed")
	}
	command := exec.CommandContext(t.Context(), make, "-C", "..", "run")
	command.Env = []string{"PATH=" + t.TempDir()}
	output, err := command.CombinedOutput()
	if err == nil || !strings.Contains(string(output), "build first as yourself: make build && sudo ./closewait_exporter") {
		t.Errorf("error %v, and not how to build:\n%s", err, output)
	}
}
