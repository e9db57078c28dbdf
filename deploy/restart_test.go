package deploy

import (
	"fmt"
	"strings"
	"testing"

	"closewait_exporter/internal/leaktest"
)

// restartRules restart services, and end those that something starts again. Rule "elsewhere" is
// about a unit that polkit does not permit; rules "stranger" and "user" are about processes that
// other users have put into control groups that are called like the service "bystander".
const restartRules = `
limits: {actions: 50, per: 1h}
interval: 500ms
rules:
  - name: shop
    match: {unit: shop\.service}
    when: &when {sockets: 2, age: 1s}
    steps: &restart [restart_unit: {timeout: 30s}]
    mode: enforce
    accept_remote_trigger: true
  - {name: once-term, match: {unit: once\.service}, when: *when, steps: [signal: {name: TERM}], mode: enforce, accept_remote_trigger: true}
  - {name: once, match: {unit: once\.service}, when: *when, steps: *restart, mode: enforce, accept_remote_trigger: true}
  - {name: term, match: {unit: always\.service}, when: *when, steps: [signal: {name: TERM}], mode: enforce, accept_remote_trigger: true}
  - {name: elsewhere, match: {unit: elsewhere\.service}, when: *when, steps: *restart, mode: enforce, accept_remote_trigger: true}
  - {name: broken, match: {unit: broken\.service}, when: *when, steps: *restart, mode: enforce, accept_remote_trigger: true}
  - {name: stranger, match: {exe: /opt/stranger/leak}, when: *when, steps: *restart, mode: enforce, accept_remote_trigger: true}
  - {name: user, match: {exe: /opt/user/leak}, when: *when, steps: *restart, mode: enforce, accept_remote_trigger: true}
`

// unprivileged is the user of services.
const unprivileged = `User=nobody` + "\n"

// joinsBystander moves a service with Delegate=yes into a group below its own that is called like
// another service.
const joinsBystander = `#!/bin/sh
path=$(sed -n 's/^[0-9]*:name=systemd://p; s/^0:://p' /proc/self/cgroup | head -n 1)
root=/sys/fs/cgroup
[ ! -d "$root/systemd$path" ] || root=$root/systemd
mkdir -p "$root$path/bystander.service" && echo $$ > "$root$path/bystander.service/cgroup.procs"
exec /opt/stranger/leak server --sockets=3
`

// TestAServiceIsRestartedThroughSystemd has a real systemd, D-Bus and polkit, and everything as the
// package installs it.
func TestAServiceIsRestartedThroughSystemd(t *testing.T) {
	require(t, "dbus-daemon", "pkcheck")
	m := startMachine(t)
	m.installReaper(restartRules, "ARGS=--reaper.enforce --log.level=debug\n")
	m.write("/etc/polkit-1/rules.d/60-closewait_exporter.rules", strings.Replace(read(t, polkit),
		"var units = [", `var units = [/^(shop|once|always|broken|bystander|stranger|user@\d+)\.service$/`, 1))
	m.run("systemctl", "start", "dbus.socket")
	m.checkRestarts()

	m.leakingService("shop", "Restart=on-failure\nStartLimitBurst=1\nStartLimitIntervalSec=1h")
	m.leakingService("once", "Restart=no")
	m.leakingService("always", "Restart=always\nRestartSec=0")
	m.leakingService("elsewhere", "Restart=always")
	m.leakingService("broken", "Restart=no\nExecStartPre=+/bin/mkdir /run/broken") // it starts once
	m.leakingService("stranger", "Delegate=yes\nExecStart=\nExecStart=/bin/sh /opt/stranger/join")
	m.write("/opt/stranger/join", joinsBystander)
	m.service("bystander", unprivileged+"ExecStart=/bin/sleep infinity")
	names := []string{"shop", "once", "always", "elsewhere", "stranger", "bystander"} // those that remain active
	m.run("systemctl", "daemon-reload")
	m.run(append([]string{"systemctl", "start", "broken"}, names...)...)
	m.startUserService()
	before := map[string]string{}
	for _, name := range names {
		before[name] = m.invocation(name)
	}
	m.run("systemctl", "start", service)
	m.awaitMetrics(
		`closewait_reaper_remediations_total{result="restarted",rule="shop"} 1`,
		`closewait_reaper_released_sockets_total{rule="shop"} 3`,
		`closewait_reaper_decisions_total{decision="unsupervised",rule="once-term"} [1-9]\d*`,
		`closewait_reaper_remediations_total{result="terminated",rule="once-term"} 0`,
		`closewait_reaper_remediations_total{result="restarted",rule="once"} 1`,
		`closewait_reaper_remediations_total{result="terminated",rule="term"} 1`,
		`closewait_reaper_decisions_total{decision="refused",rule="elsewhere"} [1-9]\d*`,
		`closewait_reaper_remediations_total{result="down",rule="broken"} 1`,
		`closewait_reaper_remediations_total{result="restarted",rule="stranger"} 1`,
		`closewait_reaper_decisions_total{decision="refused",rule="user"} [1-9]\d*`,
	)
	for _, name := range names {
		leaktest.Eventually(t, maxWait, func() (bool, string) { // systemd starts it again a moment after it has ended
			now, want := m.invocation(name), name != "bystander" && name != "elsewhere"
			return (now != before[name]) == want && now != "", fmt.Sprintf("%s is restarted: %v, want %v", name, now != before[name], want)
		})
	}
	m.checkConfinement(append(capabilitiesOf(t, unit), capabilitiesOf(t, dropIn)...))
}

// service writes the unit of a service. The last value of a setting counts.
func (m *machine) service(name, settings string) {
	m.t.Helper()
	m.write("/etc/systemd/system/"+name+".service", "[Service]\n"+settings+"\n")
}

// leakingService writes the unit of a service that leaks as an unprivileged user.
func (m *machine) leakingService(name, settings string) {
	m.t.Helper()
	program := "/opt/" + name + "/leak"
	m.copy(leaktest.Build(m.t), program)
	unit, limits := "", ""
	for line := range strings.Lines(settings + "\n") {
		if strings.HasPrefix(line, "StartLimit") {
			limits += line
		} else {
			unit += line
		}
	}
	m.service(name, unprivileged+"PrivateNetwork=yes\nExecStart="+program+" server --sockets=3\n"+unit+"[Unit]\n"+limits)
}

// startUserService starts the service manager of a user, with a service "bystander" of that user.
func (m *machine) startUserService() {
	m.t.Helper()
	m.copy(leaktest.Build(m.t), "/opt/user/leak")
	m.write("/usr/lib/sysusers.d/alice.conf", "u alice 4711 - /\n")
	m.run("systemd-sysusers", "alice.conf")
	m.write("/etc/systemd/user/bystander.service", "[Service]\nExecStart=/opt/user/leak server --sockets=3\n")
	m.run("mkdir", "--parents", "/etc/systemd/user/default.target.wants")
	m.run("ln", "--symbolic", "/etc/systemd/user/bystander.service", "/etc/systemd/user/default.target.wants/")
	m.run("systemctl", "start", "user@4711.service")
}

// invocation returns what changes whenever the service is started.
func (m *machine) invocation(name string) string {
	m.t.Helper()
	return m.run("systemctl", "show", "--property=InvocationID", "--value", name)
}

// restartsAfter are the ends of a main process after which this systemd starts it again, by the
// value of Restart=: the table in the test of package systemd says the same about its code.
var restartsAfter = map[string]string{
	"no": "", "on-success": "0 TERM", "on-failure": "1 KILL", "on-abnormal": "KILL", "on-abort": "KILL", "on-watchdog": "", "always": "0 1 TERM KILL",
}

// checkRestarts ends the main process of services with each value of Restart= in each way.
func (m *machine) checkRestarts() {
	m.t.Helper()
	// systemd makes one dollar sign of two.
	const run = `for restart in "$@"; do for end in 0 1 TERM KILL; do
	systemd-run --quiet --unit="end-$restart-$end" --property=Restart="$restart" --property=RestartSec=1h --property=StartLimitIntervalSec=0 \
		sh -c 'case $1 in [01]) exit $1 ;; *) kill -$1 $$$$ ;; esac' sh "$end"
done; done`
	args := []string{"sh", "-c", run, "sh"}
	for restart := range restartsAfter {
		args = append(args, restart)
	}
	m.run(args...)
	for restart, ends := range restartsAfter {
		for _, end := range []string{"0", "1", "TERM", "KILL"} {
			name := "end-" + restart + "-" + end
			leaktest.Eventually(m.t, maxWait, func() (bool, string) {
				state := m.run("systemctl", "show", "--property=SubState", "--value", name)
				want := strings.Contains(" "+ends+" ", " "+end+" ")
				return (state == "auto-restart") == want && state != "running" && state != "start", fmt.Sprintf("%s is %s, restarted: want %v", name, state, want)
			})
		}
	}
}
