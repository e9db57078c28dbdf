package deploy

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"closewait_exporter/internal/leaktest"
)

func TestTheServiceSeesLeaksInOtherNamespaces(t *testing.T) {
	m := startMachine(t)
	m.copy(exporter(t), "/usr/bin/closewait_exporter")
	m.copy(unit, "/usr/lib/systemd/system/"+service)
	m.leak("leaky-shop", "--sockets=3")
	m.run("systemctl", "daemon-reload")
	m.run("systemctl", "start", service)

	m.awaitMetrics(
		`closewait_process_sockets{comm="leak",group="leaky-shop.service",pid="\d+",state="close_wait"} 3`,
		`closewait_process_info{.*exe="/opt/leaky-shop/leak",group="leaky-shop.service",.*user="nobody"} 1`,
		`closewait_scanner_info{scanner="ebpf"} 1`,
		`closewait_network_namespaces 2`,
		`closewait_owner_coverage_ratio 1`,
		`closewait_scan_errors_total{reason="denied",stage="facts"} 0`,
		`closewait_scan_errors_total{reason="denied",stage="namespace"} 0`,
		`closewait_scan_errors_total{reason="denied",stage="owners"} 0`,
		`closewait_scan_errors_total{reason="other",stage="namespace"} 0`,
	)
	if log := m.run("journalctl", "--no-pager", "--unit="+service); strings.Contains(log, "CAP_") {
		t.Errorf("it misses capabilities:\n%s", log)
	}
	m.checkConfinement(capabilitiesOf(t, unit))
}

func TestTheServiceSeesThemWithBPFAlone(t *testing.T) {
	m := startMachine(t)
	m.copy(exporter(t), "/usr/bin/closewait_exporter")
	m.copy(unit, "/usr/lib/systemd/system/"+service)
	m.copy(ebpf, "/etc/systemd/system/"+service+".d/ebpf.conf")
	m.leak("leaky-shop", "--sockets=3", "--unaccepted=2", "--closed=1")
	m.run("systemctl", "daemon-reload")
	m.run("systemctl", "start", service)

	m.awaitMetrics(
		`closewait_process_sockets{comm="leak",group="leaky-shop.service",pid="\d+",state="close_wait"} 3`,
		`closewait_process_unaccepted_sockets{comm="leak",group="leaky-shop.service",pid="\d+"} 2`,
		`closewait_process_sockets{comm="leak",group="leaky-shop.service",pid="\d+",state="closed"} 1`,
		`closewait_scanner_info{scanner="ebpf"} 1`,
		`closewait_network_namespaces 2`,
		`closewait_owner_coverage_ratio 1`,
		`closewait_scan_errors_total{reason="denied",stage="sockets"} 0`,
		`closewait_scan_errors_total{reason="denied",stage="namespace"} 0`,
		`closewait_scan_errors_total{reason="denied",stage="owners"} 0`,
	)
	m.checkConfinement(capabilitiesOf(t, ebpf))
}

func TestSystemdRestartsAnExporterThatHangs(t *testing.T) {
	m := startMachine(t)
	m.copy(exporter(t), "/usr/bin/closewait_exporter")
	m.copy(unit, "/usr/lib/systemd/system/"+service)
	m.write("/etc/systemd/system/"+service+".d/fast.conf", "[Service]\nWatchdogSec=2s\nRestartSec=100ms\n")
	m.run("systemctl", "daemon-reload")
	m.run("systemctl", "start", service)
	if answer, err := m.get("/-/healthy"); err != nil {
		t.Errorf("it has started, but does not listen: %v %s", err, answer)
	}
	hung := m.run("systemctl", "show", "--property=MainPID", "--value", service)
	m.run("kill", "-STOP", hung)
	leaktest.Eventually(t, maxWait, func() (bool, string) {
		now, state := m.run("systemctl", "show", "--property=MainPID", "--value", service), m.run("systemctl", "show", "--property=ActiveState", "--value", service)
		return now != hung && state == "active", "pid " + now + " " + state
	})
	if answer, err := m.get("/-/healthy"); err != nil {
		t.Errorf("it has started again, but does not listen: %v %s", err, answer)
	}
}

// leak starts a leaking program as a service of another user in its own network namespace.
func (m *machine) leak(name string, args ...string) {
	m.t.Helper()
	program := "/opt/" + name + "/leak"
	m.copy(leaktest.Build(m.t), program)
	m.run(append([]string{"systemd-run", "--quiet", "--unit=" + name, "--property=User=nobody", "--property=PrivateNetwork=yes",
		program, "server"}, args...)...)
	leaktest.Eventually(m.t, maxWait, func() (bool, string) { // it writes a line when it has leaked
		log := m.run("journalctl", "--no-pager", "--output=cat", "--unit="+name)
		return strings.Contains(log, `"sockets"`), log
	})
}

// awaitMetrics waits until each expression matches a line.
func (m *machine) awaitMetrics(lines ...string) {
	m.t.Helper()
	leaktest.Eventually(m.t, maxWait, func() (bool, string) {
		metrics, err := m.get("/metrics")
		for _, line := range lines {
			if err != nil || !regexp.MustCompile(`(?m)^`+line+`$`).MatchString(metrics) {
				ours := strings.Join(regexp.MustCompile(`(?m)^closewait_.*$`).FindAllString(metrics, -1), "\n")
				return false, fmt.Sprintf("%v: no %s in\n%s\n%s", err, line, ours, m.run("journalctl", "--no-pager", "--unit="+service))
			}
		}
		return true, ""
	})
}

// checkConfinement checks that the running service is confined as its unit says: an unprivileged
// user with these capabilities and a filter of system calls, who cannot get more.
func (m *machine) checkConfinement(capabilities []string) {
	m.t.Helper()
	pid := m.run("systemctl", "show", "--property=MainPID", "--value", service)
	status := m.run("cat", "/proc/"+pid+"/status")
	var mask uint64
	for _, name := range capabilities {
		mask |= 1 << capabilityNumbers[name]
	}
	for _, want := range []string{
		fmt.Sprintf(`CapEff:\t%016x`, mask), fmt.Sprintf(`CapBnd:\t%016x`, mask), `NoNewPrivs:\t1`, `Seccomp:\t2`, `Uid:\t[1-9]\d*\t`,
	} {
		if !regexp.MustCompile(`(?m)^` + want).MatchString(status) {
			m.t.Errorf("no %s in the status of the service\n%s", want, status)
		}
	}
}
