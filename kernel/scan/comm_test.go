package scan_test

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"closewait_exporter/internal/hosttest"
	"closewait_exporter/internal/leaktest"
	"closewait_exporter/kernel/scan"
)

func TestNamesOfProcessesAreSeenByteForByte(t *testing.T) {
	for name, c := range map[string]struct{ given, want string }{
		"plain":                        {"tomcat", "tomcat"},
		"a newline":                    {`a\nb`, "a\nb"},
		"quotes":                       {`say "hi"`, `say "hi"`},
		"the end of a stat line":       {`x) Z 1 1 1 1 1`, "x) Z 1 1 1 1 1"},
		"parentheses":                  {`((()))`, "((()))"},
		"only a space":                 {` `, " "},
		"invalid UTF-8":                {`\xff\xfe\x80`, "\xff\xfe\x80"},
		"15 bytes, cut inside a rune":  {`aaaaaaaaaaaaaa\u00e9`, "aaaaaaaaaaaaaa\xc3"},
		"control and bidi characters":  {`\x1b[31m\u202e`, "\x1b[31m\u202e"},
		"what a label would end with":  {`"} 1\n`, "\"} 1\n"},
		"a backslash":                  {`a\\nb`, `a\nb`},
		"a line of /proc/PID/status":   {`a\nUid:\t7 7 7 7`, "a\nUid:\t7 7 7 7"},
		"longer than 15 bytes, cut":    {`abcdefghijklmnopq`, "abcdefghijklmno"},
		"a percent sign, for a format": {`%s%n%d`, "%s%n%d"},
	} {
		t.Run(name, func(t *testing.T) {
			before := time.Now()
			l := leaktest.Start(t, "--sockets=1", "--comm="+c.given)
			withEachScanner(t, func(t *testing.T, kind scannerKind) {
				scanner := openTracked(t, kind, scan.Options{})
				scanner.view() // from the second scan on, BPF reports some facts in place of /proc
				h := scanner.view().holder(l.PID)
				if h.Comm != c.want || h.Group() != c.want {
					t.Errorf("comm %q, group %q, want %q", h.Comm, h.Group(), c.want)
				}
				if started := h.StartTime; started.Before(before.Add(-2*time.Second)) || started.After(time.Now().Add(time.Second)) {
					t.Errorf("started at %v, want about %v", started, before) // the boot time is known to the second
				}
				if h.State == 'Z' || h.ID.PID != l.PID || int(h.UID) != os.Geteuid() {
					t.Errorf("state %c, pid %d, uid %d", h.State, h.ID.PID, h.UID)
				}
			})
		})
	}
}

func TestFactsOfAProcess(t *testing.T) {
	hosttest.Require(t)
	l := leaktest.Start(t, "--sockets=7", "--nofile=321", "--drop-uid="+strconv.Itoa(unprivilegedID))
	opened := map[string]*trackedScanner{}
	for _, kind := range scannerKinds {
		opened[kind.name] = openTracked(t, kind, scan.Options{})
		opened[kind.name].view()
	}
	for name, signal := range map[string]unix.Signal{"S": unix.SIGCONT, "T": unix.SIGSTOP} {
		l.Signal(signal)
		leaktest.Eventually(t, timeout, func() (bool, string) {
			state := string(stateOf(t, l.PID))
			return state == name, state
		})
		withEachScanner(t, func(t *testing.T, kind scannerKind) {
			for _, scanner := range []*trackedScanner{openTracked(t, kind, scan.Options{}), opened[kind.name]} { // in its first scan, and in a later one
				v := scanner.view()
				v.agreesWithTruth(l)
				h := v.holder(l.PID)
				if h.UID != unprivilegedID || h.User != "nobody" {
					t.Errorf("user %d %q, want %d %q", h.UID, h.User, unprivilegedID, "nobody")
				}
				if h.Exe != leaktest.Build(t) || h.NetNS != netNSOf(t, os.Getpid()) {
					t.Errorf("exe %q, network namespace %d", h.Exe, h.NetNS)
				}
				if fds := count(t, "/proc/"+strconv.Itoa(l.PID)+"/fd/*"); h.MaxFDs != 321 || !h.FDsKnown || int(h.OpenFDs) != fds {
					t.Errorf("%d of %d descriptors, want %d of 321", h.OpenFDs, h.MaxFDs, fds)
				}
				if !strings.Contains(name, string(h.State)) {
					t.Errorf("state %c, want %s", h.State, name)
				}
				for _, s := range h.Ended.Sockets {
					if s.UID != unprivilegedID {
						t.Errorf("the file of the socket belongs to %d, want %d", s.UID, unprivilegedID)
					}
				}
			}
		})
	}
}
