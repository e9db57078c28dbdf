package promtest

import (
	"os/exec"
	"testing"

	"closewait_exporter/internal/leaktest"
)

// Alertmanager returns the path of the program, or skips the test where it is missing. Debian has
// given it another name.
func Alertmanager(t testing.TB) (program string) {
	t.Helper()
	if program, err := exec.LookPath("prometheus-alertmanager"); err == nil {
		return program
	}
	return leaktest.RequireProgram(t, "alertmanager")
}

// StartAlertmanager starts an Alertmanager with the configuration in a file, and returns its
// address.
func StartAlertmanager(t testing.TB, config string) (address string) {
	t.Helper()
	return Start(t, exec.Command(Alertmanager(t), "--config.file="+config, "--storage.path="+t.TempDir(),
		"--web.listen-address=127.0.0.1:0", "--cluster.listen-address="))
}
