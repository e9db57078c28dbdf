package deploy

import (
	"path/filepath"
	"strings"
	"testing"
)

// rules have steps that need all capabilities of the drop-in, and a step that needs another one.
const rules = `
limits: {actions: 10, per: 1h}
interval: 500ms
rules:
  - name: reset
    match: {unit: shop-reset\.service}
    when: {sockets: 2, age: 1s}
    steps: [destroy: {}]
    mode: enforce
  - name: shut-down
    match: {unit: shop-shut-down\.service}
    when: {sockets: 2, age: 1s}
    steps: [shutdown: {}]
    mode: enforce
  - name: ask-and-end
    match: {unit: shop-end\.service, user: nobody}
    when: {sockets: 2, age: 1s}
    steps:
      - evidence: {}
      - run: {command: [/usr/bin/env, python3, -c, 'import os, socket; socket.socket(socket.AF_UNIX); os.kill({pid}, 0)']}
      - signal: {name: TERM}
    accept_no_restart: true
    mode: enforce
  - name: raise
    match: {unit: shop-raise\.service}
    when: {sockets: 2, age: 1s}
    steps: [raise_nofile: {to: hard}]
    mode: enforce
`

func TestTheDropInPermitsTheStepsOfTheReaper(t *testing.T) {
	m := startMachine(t)
	m.installReaper(rules, "ARGS=--reaper.enforce\n")
	for _, name := range []string{"shop-reset", "shop-shut-down", "shop-end", "shop-raise"} {
		m.leak(name, "--sockets=3")
	}
	m.run("systemctl", "start", service)

	m.awaitMetrics(
		`closewait_reaper_actions_total{action="destroy",mode="enforce",rule="reset"} [1-9]\d*`,
		`closewait_reaper_action_failures_total{action="destroy",mode="enforce",rule="reset"} 0`,
		`closewait_reaper_actions_total{action="shutdown",mode="enforce",rule="shut-down"} [1-9]\d*`,
		`closewait_reaper_action_failures_total{action="shutdown",mode="enforce",rule="shut-down"} 0`,
		`closewait_reaper_actions_total{action="evidence",mode="enforce",rule="ask-and-end"} 1`,
		`closewait_reaper_action_failures_total{action="evidence",mode="enforce",rule="ask-and-end"} 0`,
		`closewait_reaper_actions_total{action="run",mode="enforce",rule="ask-and-end"} 1`,
		`closewait_reaper_remediations_total{result="terminated",rule="ask-and-end"} 1`,
		`closewait_reaper_action_failures_total{action="raise_nofile",mode="enforce",rule="raise"} [1-9]\d*`,
	)
	if state, _ := m.try("systemctl", "is-active", "shop-end"); state != "inactive" {
		t.Errorf("shop-end is %s, want inactive", state)
	}
	if log := m.run("journalctl", "--no-pager", "--unit="+service); !strings.Contains(log, "CAP_SYS_RESOURCE") {
		t.Errorf("it does not report what raise_nofile needs:\n%s", log)
	}
	m.checkConfinement(append(capabilitiesOf(t, unit), capabilitiesOf(t, dropIn)...))
	m.checkRecords()
}

// checkRecords checks that the files of the reaper survive a restart and that no other user can
// read them.
func (m *machine) checkRecords() {
	m.t.Helper()
	m.run("systemctl", "restart", service)
	m.awaitMetrics(`closewait_scan_success 1`)
	for _, file := range []string{"/var/lib/closewait/state.json", "/var/log/closewait/audit.jsonl"} {
		if stat := m.run("stat", "--dereference", "--format=%a %s", file); !strings.HasPrefix(stat, "600 ") || strings.HasSuffix(stat, " 0") {
			m.t.Errorf("%s has mode and size %s, want 600 and more than 0", file, stat)
		}
		if mode := m.run("stat", "--dereference", "--format=%a", filepath.Dir(file)); mode != "700" {
			m.t.Errorf("the directory of %s has mode %s, want 700", file, mode)
		}
	}
	const evidence = "/var/lib/closewait/evidence/ask-and-end-*.json"
	if stat := m.run("sh", "-c", "stat --dereference --format=%a "+evidence); stat != "600" {
		m.t.Errorf("files of evidence have mode %s, want one with 600", stat)
	}
	if document := m.run("sh", "-c", "cat "+evidence); !strings.Contains(document, `"verdict": {`) || strings.Contains(document, "Not read: its threads") {
		m.t.Errorf("the sandbox keeps the exporter from reading threads:\n%s", document)
	}
	if record := m.run("cat", "/var/log/closewait/audit.jsonl"); !strings.Contains(record, `"rule":"ask-and-end"`) {
		m.t.Errorf("not recorded:\n%s", record)
	}
}

func TestTheReaperStartsInDryRunAndReloadsItsRules(t *testing.T) {
	m := startMachine(t)
	m.installReaper(read(t, "reaper.example.yml"), read(t, "package/closewait_exporter.default"))
	m.run("systemctl", "start", service)
	m.awaitMetrics(`closewait_reaper_info{mode="dry_run"} 1`, `closewait_config_last_reload_successful 1`)

	m.write("/etc/closewait/rules.yml", "rules: none\n")
	m.run("systemctl", "reload", service)
	m.awaitMetrics(`closewait_config_last_reload_successful 0`)

	m.write("/etc/closewait/rules.yml", rules)
	m.run("systemctl", "reload", service)
	m.awaitMetrics(`closewait_config_last_reload_successful 1`, `closewait_reaper_matched_processes{rule="reset"} 0`)
	m.leak("shop-end", "--sockets=3")
	m.awaitMetrics(`closewait_reaper_decisions_total{decision="dry_run",rule="ask-and-end"} [1-9]\d*`)
	if state := m.run("systemctl", "is-active", "shop-end"); state != "active" {
		t.Errorf("shop-end is %s in dry run", state)
	}
}

func TestAGuardThatRunsAsRootRestartsAUnit(t *testing.T) {
	m := startMachine(t)
	m.installReaper(`
interval: 500ms
rules:
  - name: restart
    match: {unit: shop\.service}
    when: {sockets: 2, age: 1s}
    steps: [run: {command: [/usr/bin/systemctl, restart, "{group}"]}]
    mode: enforce
`, "ARGS=--reaper.enforce\n")
	m.run("sed", "--in-place", "s/^#\\(User\\|Group\\)=root/\\1=root/", "/etc/systemd/system/"+service+".d/reaper.conf")
	m.run("systemctl", "daemon-reload")
	m.leak("shop", "--sockets=3")
	before := m.run("systemctl", "show", "--property=MainPID", "shop")
	m.run("systemctl", "start", service)
	m.awaitMetrics(`closewait_reaper_remediations_total{result="recovered",rule="restart"} [1-9]\d*`)
	if after := m.run("systemctl", "show", "--property=MainPID", "shop"); after == before || strings.HasSuffix(after, "=0") {
		t.Errorf("%s before, %s after", before, after)
	}
}

// installReaper installs everything as docs/INSTALL.md does.
func (m *machine) installReaper(rules, defaults string) {
	m.t.Helper()
	m.copy(exporter(m.t), "/usr/bin/closewait_exporter")
	m.copy(unit, "/usr/lib/systemd/system/"+service)
	m.copy(dropIn, "/etc/systemd/system/"+service+".d/reaper.conf")
	m.copy(sysusers, "/usr/lib/sysusers.d/closewait_exporter.conf")
	m.run("systemd-sysusers", "closewait_exporter.conf")
	m.write("/etc/default/closewait_exporter", defaults)
	m.write("/etc/closewait/rules.yml", rules)
	m.run("chmod", "600", "/etc/closewait/rules.yml") // readable only by root; the service must get it all the same
	m.run("systemctl", "daemon-reload")
}
