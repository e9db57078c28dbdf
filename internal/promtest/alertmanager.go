package promtest

import (
	"os/exec"
	"testing"

	"closewait_exporter/internal/leaktest"
)

// Alertmanager finds the program, or skips a test that needs it. Debian gives it another name than its
// makers do.
func Alertmanager(t testing.TB) (program string) {
	t.Helper()
	if program, err := exec.LookPath("prometheus-alertmanager"); err == nil {
		return program
	}
	return leaktest.RequireProgram(t, "alertmanager")
}

// StartAlertmanager starts one with the configuration in a file, and returns its address.
func StartAlertmanager(t testing.TB, config string) (address string) {
	t.Helper()
	return Start(t, exec.Command(Alertmanager(t), "--config.file="+config, "--storage.path="+t.TempDir(),
		"--web.listen-address=127.0.0.1:0", "--cluster.listen-address="))
}
