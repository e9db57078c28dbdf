package scan_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"closewait_exporter/internal/hosttest"
	"closewait_exporter/internal/leaktest"
	"closewait_exporter/kernel/scan"
)

// stateOf returns the state of a process, as in its /proc/PID/stat.
func stateOf(t testing.TB, pid int) byte {
	t.Helper()
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		t.Fatal(err)
	}
	return stat[bytes.LastIndexByte(stat, ')')+2]
}

func TestSocketsInUnusualDescriptorTablesAreFound(t *testing.T) {
	hosttest.Require(t)
	for name, args := range map[string][]string{
		"a table of a single thread":                              {"--private-fdtable"},
		"a leader that has ended":                                 {"--zombie-leader"},
		"a leader that has ended, and a table of a single thread": {"--zombie-leader", "--private-fdtable"},
	} {
		t.Run(name, func(t *testing.T) {
			l := leaktest.Start(t, append(args, "--sockets=3", "--unaccepted=2", "--outbound=1")...)
			withEachScanner(t, func(t *testing.T, kind scannerKind) {
				scanner := openTracked(t, kind, scan.Options{})
				scanner.view()
				v := scanner.view()
				v.agreesWithTruth(l)
				h := v.holder(l.PID)
				if h.Ended.Len() != 4 || h.Unaccepted.Len() != 2 {
					t.Errorf("%d held and %d unaccepted, want 4 and 2", h.Ended.Len(), h.Unaccepted.Len())
				}
				if h.State != stateOf(t, l.PID) {
					t.Errorf("state %c, want %c", h.State, stateOf(t, l.PID))
				}
				if h.Exe != leaktest.Build(t) || h.NetNS != netNSOf(t, l.PID) || h.MaxFDs == 0 || h.User != "root" {
					t.Errorf("facts %+v", h.Process)
				}
			})
		})
	}
}

func TestDescriptorsAreCountedWhenTheLeaderHasEnded(t *testing.T) {
	hosttest.Require(t)
	l := leaktest.Start(t, "--sockets=20", "--zombie-leader")
	withEachScanner(t, func(t *testing.T, kind scannerKind) {
		if h := openTracked(t, kind, scan.Options{}).view().holder(l.PID); !h.FDsKnown || h.OpenFDs < 20 {
			t.Errorf("%d descriptors open (known: %v), and it holds 20 sockets", h.OpenFDs, h.FDsKnown)
		}
	})
}

func TestANamespaceOfAProcessWhoseLeaderHasEndedIsRead(t *testing.T) {
	l := leaktest.Where{NetNS: true}.Start(t, "--sockets=3", "--zombie-leader")
	withEachScanner(t, func(t *testing.T, kind scannerKind) {
		v := openTracked(t, kind, scan.Options{}).view()
		v.agreesWithTruth(l)
		if v.Namespaces != 2 {
			t.Errorf("%d namespaces, want 2", v.Namespaces)
		}
	})
}

// TestTheFullestDescriptorTableCounts has a thread whose own table is fuller than the table of the
// leader: the thread is the first that cannot open more.
func TestTheFullestDescriptorTableCounts(t *testing.T) {
	hosttest.Require(t)
	l := leaktest.Start(t, "--sockets=30", "--private-fdtable")
	tables, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/fd", l.PID))
	if err != nil {
		t.Fatal(err)
	}
	fullest, leader := 0, 0
	for _, table := range tables {
		entries, err := os.ReadDir(table)
		if err != nil {
			t.Fatal(err)
		}
		fullest = max(fullest, len(entries))
		if table == fmt.Sprintf("/proc/%d/task/%d/fd", l.PID, l.PID) {
			leader = len(entries)
		}
	}
	if fullest < leader+30 {
		t.Fatalf("%d descriptors in the fullest table and %d in the table of the leader", fullest, leader)
	}
	withEachScanner(t, func(t *testing.T, kind scannerKind) {
		scanner := openTracked(t, kind, scan.Options{})
		for range 3 { // later scans know the process already
			if h := scanner.view().holder(l.PID); !h.FDsKnown || h.OpenFDs != uint64(fullest) {
				t.Errorf("%d descriptors open (known: %v), want %d", h.OpenFDs, h.FDsKnown, fullest)
			}
		}
	})
}
