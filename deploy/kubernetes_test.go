package deploy

import (
	"os"
	"os/exec"
	"testing"
)

// TestKubernetesManifests runs the tests of kubernetes/strict, which is a module of its own.
func TestKubernetesManifests(t *testing.T) {
	command := exec.CommandContext(t.Context(), "go", "test", "-C", "kubernetes/strict", "-count=1", "./...")
	command.Env = append(os.Environ(), "GOFLAGS=-mod=readonly", "GOWORK=off")
	if output, err := command.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, output)
	}
}

func TestThePrometheusRuleHasTheRulesOfAlerts(t *testing.T) {
	const path = "kubernetes/prometheusrule.yaml"
	if want := run(t, "scripts/prometheusrule"); read(t, path) != want {
		t.Errorf("%s is not made from the present alerts/closewait.rules.yml: run make kubernetes", path)
	}
}
