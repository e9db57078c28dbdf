// Package alerts has no code: it tests the Prometheus rules with the programs that read them.
package alerts

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"go.yaml.in/yaml/v3"
)

const (
	rulesPath      = "closewait.rules.yml"
	prometheusPath = "prometheus.example.yml"
	runbookPath    = "../docs/RUNBOOK.md"
)

// rule is a recording or an alerting rule.
type rule struct {
	Record      string            `yaml:"record"`
	Alert       string            `yaml:"alert"`
	Expr        string            `yaml:"expr"`
	For         string            `yaml:"for"`
	KeepFiring  string            `yaml:"keep_firing_for"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

type ruleFile struct {
	Groups []struct {
		Name  string `yaml:"name"`
		Rules []rule `yaml:"rules"`
	} `yaml:"groups"`
}

// shippedRules returns all rules in their order.
func shippedRules(t *testing.T) []rule {
	t.Helper()
	var file ruleFile
	unmarshal(t, rulesPath, &file)
	var all []rule
	for _, group := range file.Groups {
		all = append(all, group.Rules...)
	}
	if len(all) == 0 {
		t.Fatalf("no rules in %s", rulesPath)
	}
	return all
}

func shippedAlerts(t *testing.T) []rule {
	t.Helper()
	var alerts []rule
	for _, r := range shippedRules(t) {
		if r.Alert != "" {
			alerts = append(alerts, r)
		}
	}
	return alerts
}

func unmarshal(t *testing.T, path string, into any) {
	t.Helper()
	decoder := yaml.NewDecoder(bytes.NewReader(read(t, path)))
	decoder.KnownFields(true)
	if err := decoder.Decode(into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// unitTests returns the files with which promtool tests the rules.
func unitTests(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("closewait.*.test.yml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no unit tests of the rules: %v", err)
	}
	return files
}

// tool returns the path of a program, or skips the test where it is missing.
func tool(t *testing.T, program, debianPackage string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Skipf("no %s (Debian: apt-get install %s)", program, debianPackage)
	}
	return path
}

// mustRun returns the output of a program, and fails the test if the program fails.
func mustRun(t *testing.T, program string, args ...string) string {
	t.Helper()
	out, err := exec.Command(program, args...).CombinedOutput()
	if err != nil {
		t.Errorf("%s %q: %v\n%s", program, args, err, out)
	}
	return string(out)
}
