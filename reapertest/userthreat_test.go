package reapertest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"closewait_exporter/internal/leaktest"
)

// unprivileged is a user without any right on the host.
const unprivileged = 65534

// startAsUser starts a process without privileges that ends with the test.
func startAsUser(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: unprivileged, Gid: unprivileged}, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd
}

// TestUsersCannotKeepTheReaperFromActing is about a user who locks what any process can open.
func TestUsersCannotKeepTheReaperFromActing(t *testing.T) {
	holder := startAsUser(t, "flock", "--no-fork", "/proc/self/ns/pid", "sleep", "1000")
	await(t, func() (bool, string) {
		locks, err := os.ReadFile("/proc/locks")
		return strings.Contains(string(locks), fmt.Sprintf(" WRITE %d ", holder.Process.Pid)), fmt.Sprintf("%s, %v", locks, err)
	})
	p := startTarget(t, leaktest.Where{}, "unlocked", "--outbound=3")
	e := enforcing(t, preamble+rule("unlocked", p.exe, outbound+soft))
	e.awaitSeries(remediations("unlocked", "terminated"), 1)
}

// TestNoUserStopsRulesForOthersBySocketsInFlight is about a user who sends sockets to itself and
// never receives them. On the host of the tests some processes may be hidden, so such sockets have
// no known owner.
func TestNoUserStopsRulesForOthersBySocketsInFlight(t *testing.T) {
	const another, anyDirection = someUser - 1, "when: {sockets: 2, age: 1s}\n" + anyPeer + soft
	for _, scanner := range []string{"netlink", "procfs"} {
		t.Run(scanner, func(t *testing.T) {
			leaktest.Start(t, "--sockets=60", "--in-flight", fmt.Sprintf("--drop-uid=%d", someUser))
			targets, rules := map[string]*target{}, preamble
			for name, user := range map[string]int{"of-root": 0, "of-another": another, "of-the-same": someUser} {
				targets[name] = startTarget(t, leaktest.Where{}, name, "--sockets=6", fmt.Sprintf("--drop-uid=%d", user))
				rules += rule(name, targets[name].exe, anyDirection)
			}
			e := enforcing(t, rules, "--collector.scanner="+scanner)
			e.awaitSeriesIn(t, remediations("of-root", "terminated"), 1)
			e.awaitSeriesIn(t, remediations("of-another", "terminated"), 1)
			e.awaitSeriesIn(t, decisions("of-the-same", "low_coverage"), 5)
			values := e.scrape()
			if ratio := values["closewait_owner_coverage_ratio"]; ratio > 0.3 {
				t.Errorf("the coverage of all sockets is %v", ratio)
			}
			if !targets["of-the-same"].alive() || values[decisions("of-the-same", "act")] != 0 || values[suspended("low_coverage")] != 1 {
				t.Errorf("the same user: alive is %v: %v", targets["of-the-same"].alive(), values.about(`rule="of-the-same"}`))
			}
		})
	}
}

// TestFilesThatOtherUsersCanChangeAreNotUsed starts exporters with such rules and guards.
func TestFilesThatOtherUsersCanChangeAreNotUsed(t *testing.T) {
	p := startTarget(t, leaktest.Where{}, "untrusted", "--outbound=3")
	text := preamble + rule("untrusted", p.exe, outbound+soft)
	for name, change := range map[string]func(path string) error{
		"all can write": func(path string) error { return os.Chmod(path, 0o666) },
		"of a user":     func(path string) error { return os.Chown(path, unprivileged, unprivileged) },
	} {
		t.Run("rules, "+name, func(t *testing.T) {
			f := newFiles(t, text)
			if err := change(f.rules); err != nil {
				t.Fatal(err)
			}
			if status, output := command(t, "--reaper.enforce", "--reaper.config="+f.rules); status != 1 || !strings.Contains(output, f.rules) || !strings.Contains(output, "refuses rules") {
				t.Errorf("it starts: status %d, %s", status, output)
			}
			if status, output := command(t, "check-config", f.rules); status != 0 || !strings.Contains(output, f.rules+":1: warning: other users can change the rules") {
				t.Errorf("check-config: status %d, %s", status, output)
			}
			dry := f.start(t)
			dry.awaitSeries(decisions("untrusted", "dry_run"), 1)
			if !strings.Contains(dry.log.String(), "Other users can change the rules") {
				t.Error("the dry run does not warn")
			}
		})
		t.Run("a guard, "+name, func(t *testing.T) {
			guard := filepath.Join(t.TempDir(), "guard")
			ran := guard + ".ran"
			write(t, guard, "#!/bin/sh\ntouch "+ran+"\n")
			if err := os.Chmod(guard, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := change(guard); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(guard, 0o777); err != nil {
				t.Fatal(err)
			}
			f := newFiles(t, preamble+rule("untrusted", p.exe, outbound+fmt.Sprintf("steps: [run: {command: ['%s']}, signal: {name: TERM}]\n", guard)))
			if status, output := command(t, "check-config", f.rules); status != 0 || !strings.Contains(output, "step 1 (run): with --reaper.enforce the rule would be suspended on this host: guard \""+guard) {
				t.Errorf("check-config: status %d, %s", status, output)
			}
			e := f.start(t, "--reaper.enforce")
			e.awaitSeries(decisions("untrusted", "suspended"), 5)
			if _, err := os.Stat(ran); err == nil || !p.alive() {
				t.Errorf("the guard has run, or the process has ended: %v", err)
			}
		})
	}
}

// TestTheLogSaysWhichGuardCannotRun at the start and at a reload.
func TestTheLogSaysWhichGuardCannotRun(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	write(t, data, "#!/bin/sh\n")
	guarded := func(guard string) string {
		return preamble + rule("guarded", "/nonexistent/program", "when: {age: 1s}\nsteps: [run: {command: ['"+guard+"']}, signal: {name: TERM}]\n")
	}
	e := enforcing(t, guarded("/nonexistent/guard"))
	awaitWarning := func(guard, why string) {
		t.Helper()
		want := regexp.MustCompile(`level=warn .*msg="Step cannot be carried out" rule=guarded mode=enforce step="run ` + guard + `" .*` + why)
		await(t, func() (bool, string) { return want.MatchString(e.log.String()), "no line like " + want.String() })
	}
	awaitWarning("/nonexistent/guard", "no such file or directory")
	write(t, e.rules, guarded(data))
	e.signal(syscall.SIGHUP)
	awaitWarning(data, "permission denied")
}

// TestAReloadKeepsTheRulesIfOthersCanChangeTheNewOnes lets a user write to the file meanwhile.
func TestAReloadKeepsTheRulesIfOthersCanChangeTheNewOnes(t *testing.T) {
	f := newFiles(t, preamble+rule("before", "/nonexistent/program", outbound+soft))
	e := f.start(t, "--reaper.enforce")
	e.awaitRounds(2)
	p := startTarget(t, leaktest.Where{}, "after", "--outbound=3")
	write(t, f.rules, preamble+rule("after", p.exe, outbound+soft))
	if err := os.Chmod(f.rules, 0o666); err != nil {
		t.Fatal(err)
	}
	e.signal(syscall.SIGHUP)
	await(t, func() (bool, string) {
		return e.scrape()["closewait_config_last_reload_successful"] == 0, e.log.String()
	})
	e.awaitRounds(5)
	if !p.alive() || !strings.Contains(e.log.String(), "keeping the current rules") {
		t.Error("the rules of someone else are in force")
	}
}

// TestACommandDoesNotPrintWhatControlsATerminal runs a program whose path a user has chosen.
func TestACommandDoesNotPrintWhatControlsATerminal(t *testing.T) {
	hostile := filepath.Join(t.TempDir(), "\x1b]0;title\x07\x1b[2J\nprocess 1 (\"web\")")
	if err := os.Mkdir(hostile, 0o755); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(hostile, "sshd\u202e")
	if err := os.Link(leakAs(t, "sshd"), program); err != nil {
		t.Fatal(err)
	}
	leaktest.Where{Program: program}.Start(t, "--outbound=3")
	path := filepath.Join(t.TempDir(), "rules\x1b.yml")
	write(t, path, strings.Replace(preamble, "300ms", "1s", 1)+rule("any", "/other", outbound+soft))
	for _, args := range [][]string{
		{"explain", "--reaper.config=" + path}, {"list"}, {"list", "--sockets"}, {"list", "--output=json"}, {"check-config", path}, {"check-config", path + ".gone"}, {"\x1b"},
	} {
		_, output := command(t, args...)
		for _, raw := range []string{"\x1b", "\x07", "\u202e", "\nprocess 1 (\"web\")"} {
			if strings.Contains(output, raw) {
				t.Errorf("%q prints %q:\n%q", args, raw, output)
			}
		}
	}
}
