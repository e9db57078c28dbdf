package alerts

import (
	"strings"
	"testing"
)

const alertmanagerPath = "alertmanager.example.yml"

func amtool(t *testing.T, args ...string) string {
	t.Helper()
	return mustRun(t, tool(t, "amtool", "prometheus-alertmanager"), args...)
}

func TestAlertmanagerAcceptsItsExampleConfiguration(t *testing.T) {
	amtool(t, "check-config", alertmanagerPath)
}

func TestAlertsGoToTheReceiverForTheirSeverity(t *testing.T) {
	receivers := map[string]string{"critical": "on-call", "warning": "team", "info": "log"}
	for _, alert := range shippedAlerts(t) {
		severity := alert.Labels["severity"]
		out := amtool(t, "config", "routes", "test", "--config.file="+alertmanagerPath, "alertname="+alert.Alert, "severity="+severity)
		lines := strings.Fields(out)
		if got := lines[len(lines)-1]; got != receivers[severity] {
			t.Errorf("%s of severity %s goes to %s, want %s", alert.Alert, severity, got, receivers[severity])
		}
	}
}
