package scan_test

import (
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"closewait_exporter/closewait"
	"closewait_exporter/internal/hosttest"
	"closewait_exporter/internal/leaktest"
	"closewait_exporter/kernel/scan"
)

// TestAllStatesAreReportedAsLsofAndSsShowThem has no MPTCP sockets, for which lsof shows the state
// of their paths. Sockets that are in no table have only an inode there.
func TestAllStatesAreReportedAsLsofAndSsShowThem(t *testing.T) {
	hosttest.Require(t)
	l := leaktest.Start(t, "--sockets=3", "--outbound=1", "--fin-wait2=2", "--closed=2", "--refused=2", "--bare=1", "--established=2")
	shown := lsof(t, l.PID)
	if len(shown) != 3+1+2*2+2+2+1 {
		t.Errorf("lsof shows %q", shown)
	}
	withEachScanner(t, func(t *testing.T, kind scannerKind) {
		h := openTracked(t, kind, scan.Options{}).view().holder(l.PID)
		var got, inSS []string
		for _, s := range slices.Concat(h.Ended.Sockets, h.Other.Sockets) {
			if !s.State.Listed() {
				got = append(got, noTable+strconv.FormatUint(s.Inode, 10))
				continue
			}
			line := fmt.Sprintf("%s %v->%v", strings.ToUpper(s.State.String()), s.Local, s.Remote)
			got, inSS = append(got, line), append(inSS, line)
		}
		want := slices.Clone(shown)
		if kind.walks { // a new scanner knows none of these
			want = slices.DeleteFunc(want, func(line string) bool { return strings.HasPrefix(line, noTable) })
		}
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("sockets of the process (-lsof +seen):\n%s", diff)
		}
		var rows []string
		for name, state := range map[string]closewait.State{"close-wait": closewait.CloseWait, "fin-wait-2": closewait.FinWait2} {
			for _, r := range l.SS(name) {
				if r.HeldBy(l.PID) {
					rows = append(rows, fmt.Sprintf("%s %v->%v", strings.ToUpper(state.String()), r.Local, r.Remote))
				}
			}
		}
		slices.Sort(inSS)
		if slices.Sort(rows); !slices.Equal(rows, inSS) {
			t.Errorf("seen %q, and ss shows %q", inSS, rows)
		}
	})
}

// noTable begins the line of a socket that is in no table.
const noTable = "inode "

// lsof returns the sockets of a process that have no live connection, as lsof shows them.
func lsof(t *testing.T, pid int) (lines []string) {
	t.Helper()
	out, err := exec.Command(leaktest.RequireProgram(t, "lsof"), "-nP", "-a", "-p", strconv.Itoa(pid), "-FfinT").Output()
	if err != nil {
		t.Fatalf("lsof: %v", err)
	}
	for file := range strings.SplitSeq("\n"+string(out), "\nf") {
		field := map[string]string{}
		for line := range strings.Lines(file) {
			for _, name := range []string{"i", "n", "TST="} {
				if value, found := strings.CutPrefix(strings.TrimSpace(line), name); found {
					field[name] = value
				}
			}
		}
		switch state := field["TST="]; {
		case field["n"] == "protocol: TCP":
			lines = append(lines, noTable+field["i"])
		case state == "CLOSE_WAIT" || state == "FIN_WAIT2":
			lines = append(lines, state+" "+field["n"])
		}
	}
	slices.Sort(lines)
	return lines
}
