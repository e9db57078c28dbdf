package reapertest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"closewait_exporter/internal/leaktest"
)

// outbound counts what the process has opened itself.
var outbound = "when: {sockets: 2, age: 1s, direction: " + opened() + "}\n" + anyPeer

const keepalive = "match: {command: '.*--keepalive.*'}\n"

// opened is the direction of sockets that their process has opened. The tables of /proc do not
// show that, so that it is unknown with the procfs scanner.
func opened() string {
	if leaktest.TablesOnly() {
		return "any"
	}
	return "outbound"
}

// scenario is a leaking process, a rule, and the expected result. All run in parallel under one
// exporter.
type scenario struct {
	name    string
	where   leaktest.Where
	leak    string // flags
	rule    func(t *testing.T, p *target) string
	want    func(rule string) []string // series that become 1 at least
	lives   bool                       // no action is taken on it; otherwise it ends
	signals float64                    // number of signals sent, if it ends
}

func fixed(text string) func(*testing.T, *target) string {
	return func(*testing.T, *target) string { return text }
}

func terminated(rule string) []string {
	return []string{decisions(rule, "act"), remediations(rule, "terminated")}
}
func killed(rule string) []string {
	return []string{decisions(rule, "act"), remediations(rule, "killed")}
}

func decided(decision string) func(string) []string {
	return func(rule string) []string { return []string{decisions(rule, decision)} }
}

// ignoring is a rule that ignores the remote end of the sockets, with its port shifted.
func ignoring(shift uint16) func(*testing.T, *target) string {
	return func(_ *testing.T, p *target) string {
		to := p.Backends[0]
		return fmt.Sprintf("ignore: {remote: ['10.9.9.0/24', '%s']}\n", strings.Replace(to.String(), fmt.Sprint(to.Port()), fmt.Sprint(to.Port()+shift), 1)) + outbound + soft
	}
}

// The options of resreap, in the order of the table in docs/REAPER.md, and the cases in which it
// was wrong.
var options = []scenario{
	{name: "pattern", leak: "--outbound=3 --keepalive", rule: fixed(keepalive + outbound + soft), want: terminated, signals: 1},
	{name: "no-pattern", leak: "--outbound=3", rule: fixed(keepalive + outbound + soft), lives: true},
	{name: "ignored", leak: "--outbound=3", rule: ignoring(0), want: decided("pending"), lives: true},
	{name: "ignored-v6", leak: "--outbound=3 --listen=[::1]:0", rule: ignoring(0), want: decided("pending"), lives: true},
	{name: "other-port", leak: "--outbound=3", rule: ignoring(1), want: terminated, signals: 1},
	{name: "other-port-v6", leak: "--outbound=3 --listen=[::1]:0", rule: ignoring(1), want: terminated, signals: 1},
	{name: "below-limit", leak: "--outbound=4", rule: fixed("when: {sockets: 5, age: 1s, direction: " + opened() + "}\n" + anyPeer + soft), want: decided("pending"), lives: true},
	{name: "at-limit", leak: "--outbound=5", rule: fixed("when: {sockets: 5, age: 1s, direction: " + opened() + "}\n" + anyPeer + soft), want: terminated, signals: 1},
	{name: "between-scans", leak: "--churn=50", rule: fixed("when: {sockets: 1, age: 5s}\n" + anyPeer + soft), want: decided("pending"), lives: true}, // 5s: longer than a loaded machine stalls it
	{name: "held-for", leak: "--outbound=2", rule: fixed("when: {age: 1s, for: 1s, direction: " + opened() + "}\n" + anyPeer + soft), want: terminated, signals: 1},
	{name: "term", leak: "--sockets=3", rule: fixed("when: {age: 1s}\n" + anyPeer + soft), want: terminated, signals: 1},
	{name: "term-then-kill", leak: "--sockets=3 --ignore-sigterm", rule: fixed("when: {age: 1s}\n" + anyPeer + hard), want: killed, signals: 2},
	{name: "other-signal", leak: "--outbound=3 --ignore-sigterm", rule: fixed(outbound + "steps: [signal: {name: INT, wait: 20s}]\n"), want: terminated, signals: 1},
	{name: "first-signal", leak: "--outbound=3", rule: fixed(outbound + "steps: [signal: {name: WINCH, wait: 300ms}, signal: {name: TERM, wait: 20s}]\n"), want: terminated, signals: 2},
	{name: "dry-run", leak: "--outbound=3", rule: fixed("mode: dry_run\n" + outbound + hard), want: decided("dry_run"), lives: true},
	{name: "fds", leak: "--outbound=60", rule: fixed("when: {age: 1s, fds: 50}\n" + soft), want: terminated, signals: 1},
	{name: "fds-not-yet", leak: "--outbound=60", rule: fixed("when: {age: 1s, fds: 5000}\n" + soft), want: decided("enough_fds"), lives: true},
	{name: "fds-ratio", leak: "--sockets=84 --nofile=100", rule: fixed("when: {age: 1s, fds: 80%}\n" + soft), want: terminated, signals: 1},
	{name: "fds-ratio-low", leak: "--sockets=20 --nofile=100", rule: fixed("when: {age: 1s, fds: 80%}\n" + soft), want: decided("enough_fds"), lives: true},
	{name: "v6", leak: "--sockets=3 --listen=[::1]:0", rule: fixed("when: {age: 1s}\n" + anyPeer + soft), want: terminated, signals: 1},
	{name: "v4-mapped", leak: "--sockets=3 --listen=[::]:0 --connect=127.0.0.1", rule: fixed("when: {age: 1s}\n" + anyPeer + soft), want: terminated, signals: 1},
	{name: "netns", where: leaktest.Where{NetNS: true}, leak: "--outbound=3", rule: fixed(outbound + soft), want: terminated, signals: 1},
	{name: "netns-v6", where: leaktest.Where{NetNS: true}, leak: "--outbound=3 --listen=[::1]:0", rule: fixed(outbound + soft), want: terminated, signals: 1},
	{name: "pidns-1", where: leaktest.Where{NetNS: true, PIDNS: true}, leak: "--outbound=3 --ignore-sigterm", rule: fixed(outbound + hard), want: killed, signals: 2},
	{name: "thread-table", leak: "--outbound=3 --private-fdtable", rule: fixed(outbound + soft), want: terminated, signals: 1},
	{name: "guard-allows", leak: "--outbound=3", rule: guarded("[ \"$1\" = \"$CLOSEWAIT_PID\" ] && grep -q '\"inode\"'"), want: terminated, signals: 1},
	{name: "guard-1", leak: "--outbound=3", rule: guarded("exit 1"), want: decided("guard_denied"), lives: true},
	{name: "guard-127", leak: "--outbound=3", rule: guarded("/nonexistent/program"), want: decided("guard_denied"), lives: true},
	{name: "guard-crash", leak: "--outbound=3", rule: guarded("kill -SEGV $$"), want: decided("guard_failed"), lives: true},
	{name: "guard-timeout", leak: "--outbound=3", rule: guardedWithin("2s", "sleep 1000"), want: decided("guard_failed"), lives: true},
	{name: "guard-flood", leak: "--outbound=3", rule: guarded("exec cat /dev/zero"), want: decided("guard_failed"), lives: true},
	{name: "guard-pipe-no", leak: "--outbound=3", rule: guarded("sleep 1000 & exit 1"), want: decided("guard_denied"), lives: true},
	{name: "guard-pipe-yes", leak: "--outbound=3", rule: guarded("sleep 1000 & exit 0"), want: terminated, signals: 1},
	{name: "guard-setsid", leak: "--outbound=3", rule: guarded("setsid sleep 1000 & exit 1"), want: decided("guard_denied"), lives: true},
	{name: "no-guard", leak: "--outbound=3", rule: fixed(outbound + "steps: [run: {command: [/nonexistent/guard]}, signal: {name: KILL}]\n"), want: decided("suspended"), lives: true},
}

// guarded runs a shell script as a guard before the signal. It gets more time than it needs on a
// loaded machine.
func guarded(script string) func(*testing.T, *target) string { return guardedWithin("60s", script) }

func guardedWithin(timeout, script string) func(*testing.T, *target) string {
	return func(t *testing.T, _ *target) string {
		path := filepath.Join(t.TempDir(), "guard")
		write(t, path, "#!/bin/sh\n"+script+"\n")
		if err := os.Chmod(path, 0o700); err != nil {
			t.Fatal(err)
		}
		return outbound + fmt.Sprintf("steps: [run: {command: ['%s', '{pid}'], timeout: %s}, signal: {name: TERM, wait: 20s}]\n", path, timeout)
	}
}

func TestWhatResreapDidIsDone(t *testing.T) {
	rules, targets := preamble, map[string]*target{}
	for _, s := range options {
		p := startTarget(t, s.where, s.name, strings.Fields(s.leak)...)
		targets[s.name] = p
		rules += rule(s.name, p.exe, s.rule(t, p))
	}
	e := enforcing(t, rules)
	for _, s := range options {
		t.Run(s.name, func(t *testing.T) { s.verify(t, e, targets[s.name]) })
	}
	e.awaitRounds(20) // 6 s, longer than any when.age: time for actions that must not be taken
	values := e.scrape()
	for _, s := range options {
		if p := targets[s.name]; p.alive() != s.lives {
			t.Errorf("%s: alive is %v, want %v: %v", s.name, p.alive(), s.lives, values.about("rule=\""+s.name+"\"}"))
		}
		if got := values[actions(s.name, "signal")]; got != s.signals {
			t.Errorf("%s: %v signals sent, want %v: %v", s.name, got, s.signals, values.about("rule=\""+s.name+"\"}"))
		}
	}
	if values[`closewait_reaper_matched_processes{rule="no-pattern"}`] != 0 {
		t.Error("a process matches without the pattern")
	}
	if n := values[`closewait_reaper_actions_total{action="signal",mode="dry_run",rule="dry-run"}`]; n != 2 {
		t.Errorf("%v steps would have been tried in dry run, want 2", n)
	}
}

// verify waits for the expected result of a scenario, and checks its records.
func (s *scenario) verify(t *testing.T, e *exporter, p *target) {
	if s.want != nil {
		for _, series := range s.want(s.name) {
			e.awaitSeriesIn(t, series, 1)
		}
	}
	if s.lives {
		return
	}
	if p.alive() {
		t.Error("the process has not ended")
	}
	values := e.scrape()
	if got := values[fmt.Sprintf("closewait_reaper_released_sockets_total{rule=%q}", s.name)]; got < 2 {
		t.Errorf("%v sockets were released", got)
	}
	if got := values[fmt.Sprintf("closewait_reaper_released_fds_total{rule=%q}", s.name)]; got < 2 {
		t.Errorf("%v descriptors were released", got)
	}
	var events []string
	for _, r := range e.records(t, s.name) {
		events = append(events, r.Event)
		if r.PID != p.PID {
			t.Errorf("%s of process %d, want %d", r.Event, r.PID, p.PID)
		}
	}
	if len(events) < 3 || events[0] != "decision" || events[len(events)-1] != "end" {
		t.Errorf("the audit file has %v", events)
	}
}
