package reapertest

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"closewait_exporter/internal/leaktest"
)

// leakAs makes a copy of cmd/leak under another name, which is also the name and the group of its
// processes, so that a rule matches only them.
func leakAs(t testing.TB, name string) (path string) {
	t.Helper()
	program := leaktest.Build(t)
	path = filepath.Join(t.TempDir(), name)
	if err := os.Link(program, path); err == nil {
		return path
	}
	from, err := os.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	to, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	if _, err := io.Copy(to, from); err != nil {
		t.Fatal(err)
	}
	return path
}

// target is a leaking process that the reaper may act on.
type target struct {
	*leaktest.Leak
	exe   string
	pidfd int
}

// startTarget starts a leaking process with its own name.
func startTarget(t testing.TB, where leaktest.Where, name string, args ...string) *target {
	t.Helper()
	where.Program = leakAs(t, name)
	return follow(t, where.Start(t, args...), where.Program)
}

func follow(t testing.TB, l *leaktest.Leak, exe string) *target {
	t.Helper()
	return &target{Leak: l, exe: exe, pidfd: openProcess(t, l.PID)}
}

func openProcess(t testing.TB, pid int) int {
	t.Helper()
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

// alive reports whether the process runs or is stopped.
func (p *target) alive() bool { return living(p.pidfd) }

func living(pidfd int) bool {
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}, 0)
		if !errors.Is(err, unix.EINTR) {
			return n == 0
		}
	}
}

// preamble makes rounds short, and sets limits that no test reaches.
const preamble = "interval: 300ms\nlimits: {actions: 100, per: 10m}\nrules:\n"

// rule writes a rule for a program. Each line of rest is a key of the rule, in YAML.
func rule(name, exe, rest string) string {
	rest, isCommand := strings.CutPrefix(rest, keepalive)
	match := fmt.Sprintf("exe: '%s'", regexp.QuoteMeta(exe))
	if isCommand {
		match += ", command: '.*--keepalive.*'"
	}
	text := fmt.Sprintf("  - name: %s\n    match: {%s}\n", name, match)
	if !strings.Contains(rest, "mode:") {
		text += "    mode: enforce\n"
	}
	text += anyEnd
	for line := range strings.Lines(strings.TrimSpace(rest) + "\n") {
		text += "    " + strings.TrimLeft(line, "\t")
	}
	return text
}

// anyEnd lets a rule end targets, which the test does not start again.
const anyEnd = "    accept_no_restart: true\n"

// The steps of most rules.
const (
	soft    = "steps: [signal: {name: TERM, wait: 20s}]\n"
	hard    = "steps: [signal: {name: TERM, wait: 500ms}, signal: {name: KILL, wait: 20s}]\n"
	anyPeer = "accept_remote_trigger: true\n"
)
