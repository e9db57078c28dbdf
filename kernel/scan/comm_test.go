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

// TestNamesOfProcessesAreSeenByteForByte has a process of each name at the same time, because
// opening a scanner takes more CPU time than scanning.
func TestNamesOfProcessesAreSeenByteForByte(t *testing.T) {
	type named struct {
		given, want string
		started     time.Time
		leak        *leaktest.Leak
	}
	names := map[string]*named{
		"plain":                        {given: "tomcat", want: "tomcat"},
		"a newline":                    {given: `a\nb`, want: "a\nb"},
		"quotes":                       {given: `say "hi"`, want: `say "hi"`},
		"the end of a stat line":       {given: `x) Z 1 1 1 1 1`, want: "x) Z 1 1 1 1 1"},
		"parentheses":                  {given: `((()))`, want: "((()))"},
		"only a space":                 {given: ` `, want: " "},
		"invalid UTF-8":                {given: `\xff\xfe\x80`, want: "\xff\xfe\x80"},
		"15 bytes, cut inside a rune":  {given: `aaaaaaaaaaaaaa\u00e9`, want: "aaaaaaaaaaaaaa\xc3"},
		"control and bidi characters":  {given: `\x1b[31m\u202e`, want: "\x1b[31m\u202e"},
		"what a label would end with":  {given: `"} 1\n`, want: "\"} 1\n"},
		"a backslash":                  {given: `a\\nb`, want: `a\nb`},
		"a line of /proc/PID/status":   {given: `a\nUid:\t7 7 7 7`, want: "a\nUid:\t7 7 7 7"},
		"longer than 15 bytes, cut":    {given: `abcdefghijklmnopq`, want: "abcdefghijklmno"},
		"a percent sign, for a format": {given: `%s%n%d`, want: "%s%n%d"},
	}
	for _, n := range names {
		n.started = time.Now()
		n.leak = leaktest.Start(t, "--sockets=1", "--comm="+n.given)
	}
	withEachScanner(t, func(t *testing.T, kind scannerKind) {
		scanner := openTracked(t, kind, scan.Options{})
		scanner.view() // from the second scan on, BPF reports some facts in place of /proc
		v := scanner.view()
		for name, n := range names {
			h := v.holder(n.leak.PID)
			if h.Comm != n.want || h.Group() != n.want {
				t.Errorf("%s: comm %q, group %q, want %q", name, h.Comm, h.Group(), n.want)
			}
			if started := h.StartTime; started.Before(n.started.Add(-2*time.Second)) || started.After(time.Now().Add(time.Second)) {
				t.Errorf("%s: started at %v, want about %v", name, started, n.started) // the boot time is known to the second
			}
			if h.State == 'Z' || h.ID.PID != n.leak.PID || int(h.UID) != os.Geteuid() {
				t.Errorf("%s: state %c, pid %d, uid %d", name, h.State, h.ID.PID, h.UID)
			}
		}
	})
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
