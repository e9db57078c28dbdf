package reapertest

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"closewait_exporter/internal/hosttest"
	"closewait_exporter/internal/leaktest"
)

// requireNoControls fails on characters that a terminal would interpret.
func requireNoControls(t *testing.T, name, text string) {
	t.Helper()
	for line := range strings.Lines(text) {
		if i := strings.IndexFunc(strings.TrimSuffix(line, "\n"), func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f || r == '\u202e' }); i >= 0 {
			t.Errorf("%s has %q", name, line)
		}
	}
}

// TestNamesOfAContainerAreOneArgumentOfAGuard: a container chooses the names of its units, and
// {group} has them.
func TestNamesOfAContainerAreOneArgumentOfAGuard(t *testing.T) {
	id := randomHex(64)
	unit := "--now;$(touch x) `touch y`'\"\x1b[2J\u202e{pid}.service"
	join := hosttest.MakeCgroup(t, "docker/"+id+"/system.slice/"+unit)
	p := startTarget(t, leaktest.Where{}, "injecting", "--outbound=3", `--comm=a\nmode=enforce\x1b[1m`)
	join(p.PID)
	dir := t.TempDir()
	guard := filepath.Join(dir, "guard")
	write(t, guard, "#!/bin/sh\ncd "+dir+"\nfor word; do printf '%s\\0' \"$word\"; done > words.new\nmv words.new words\nexit 1\n")
	if err := os.Chmod(guard, 0o700); err != nil {
		t.Fatal(err)
	}
	e := enforcing(t, preamble+rule("injecting", p.exe, outbound+"steps: [run: {command: ['"+guard+"', '--group={group}', '{pid}'], record: [arguments, output]}, signal: {name: TERM}]\n"))
	e.awaitSeries(decisions("injecting", "guard_denied"), 1)
	words, err := os.ReadFile(filepath.Join(dir, "words"))
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Split(string(words), "\x00")
	if len(got) != 3 || got[1] != fmt.Sprint(p.PID) || !strings.HasPrefix(got[0], "--group=container:"+id[:12]+"/--now;$(touch x)") || !strings.HasSuffix(got[0], "{pid}.service") {
		t.Errorf("the guard was given %q", got)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "[xy]")); err != nil || len(left) > 0 {
		t.Errorf("names were run as commands: %v, %v", left, err)
	}
	audit, err := os.ReadFile(e.audit)
	if err != nil {
		t.Fatal(err)
	}
	if records := e.records(t, "injecting"); len(records) != strings.Count(string(audit), "\n") {
		t.Errorf("%d lines, and %d of them are records of the rule:\n%s", strings.Count(string(audit), "\n"), len(records), audit)
	}
	requireNoControls(t, "the log", e.log.String())
}

// TestNoRequestChangesWhatTheReaperDoes sends what a client can try. In the end the rules are still
// the same, in force, and followed.
func TestNoRequestChangesWhatTheReaperDoes(t *testing.T) {
	later := leakAs(t, "later")
	other := filepath.Join(t.TempDir(), "other.yml")
	write(t, other, preamble+rule("other", later, "mode: dry_run\n"+outbound+soft))
	e := enforcing(t, preamble+rule("later", later, outbound+soft))
	requests := []string{
		"POST /-/reload?reaper.config=" + other + " HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
		"POST /-/reload HTTP/1.1\r\nHost: x\r\nContent-Type: application/yaml\r\nContent-Length: 9\r\n\r\nrules: []",
		"POST /-/reload HTTP/1.1\r\nHost: x\r\nOrigin: http://elsewhere\r\nContent-Length: 0\r\n\r\n",
		"PUT /-/reload HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", "DELETE / HTTP/1.1\r\nHost: x\r\n\r\n",
		"POST /-/quit HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 14\r\n\r\nmode=dry_run&x",
		"GET /?rule=later&mode=dry_run HTTP/1.1\r\nHost: x\r\n\r\n", "GET /\x1b[2J HTTP/1.1\r\nHost: \x1b]0;x\x07\r\n\r\n",
		"GET /%1b%0alevel=error%20msg=x HTTP/1.1\r\nHost: x\r\nUser-Agent: a\x1b[31m\r\n\r\n", "\x16\x03\x01\x1b[2J\n\n", "CONNECT x:1 HTTP/1.1\r\nHost: x:1\r\n\r\n",
	}
	for _, request := range requests {
		c, err := net.DialTimeout("tcp", e.address, maxWait)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.SetDeadline(time.Now().Add(maxWait)); err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(c, request)
		if status, err := bufio.NewReader(c).ReadString('\n'); err != nil || !strings.HasPrefix(status, "HTTP/1.1 ") {
			t.Errorf("%q is answered %q, %v", request, status, err)
		}
		c.Close()
	}
	p := follow(t, leaktest.Where{Program: later}.Start(t, "--outbound=3"), later)
	e.awaitSeries(remediations("later", "terminated"), 1)
	values := e.scrape()
	if values[`closewait_reaper_info{mode="enforce"}`] != 1 || len(e.records(t, "other")) > 0 || p.alive() {
		t.Errorf("%v", values.about(`rule="later"}`))
	}
	requireNoControls(t, "the log", e.log.String())
	if strings.Contains(e.log.String(), "\nlevel=error msg=x") {
		t.Errorf("a request has written a line of the log")
	}
}

// TestNoAddressOfAPeerBecomesALabel: systemd names the instance of a service with Accept=yes by the
// connection, so that a client would have a say in the names of groups.
func TestNoAddressOfAPeerBecomesALabel(t *testing.T) {
	name := "greeter-" + randomHex(8)
	join := hosttest.MakeCgroup(t, fmt.Sprintf("system.slice/system-%s.slice/%s@7-10.11.12.13:22-198.51.100.77:4711.service", name, name))
	p := startTarget(t, leaktest.Where{}, "greeter", "--sockets=3")
	join(p.PID)
	e := newFiles(t, preamble+rule("greeter", p.exe, everySocket+soft)).start(t)
	e.awaitSeries(decisions("greeter", "dry_run"), 1)
	_, page := e.request("GET", "/metrics")
	if !strings.Contains(page, fmt.Sprintf("group=%q", name+"@.service")) || strings.Contains(page, "198.51.100.77") {
		t.Errorf("no group %s@.service, or the address of the client:\n%s", name, page)
	}
}
