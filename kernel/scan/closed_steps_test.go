package scan

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/internal/kerneltest"
)

// Rows of a table in other states than fakeRow, which is in CLOSE_WAIT.
var (
	fakeLastACK  = strings.Replace(fakeRow, " 08 ", " 09 ", 1)
	fakeTimeWait = strings.Replace(fakeRow, " 08 ", " 06 ", 1)
)

// closedStep is one scan of a sequence: the changes in /proc since the scan before, and the
// expected result.
type closedStep struct {
	name   string
	change map[string]string
	want   string // see describeSockets
	missed bool   // the dump shows nothing, as it may where many connections come and go
	costly bool   // it is not the time to check suspects again
}

// scan carries out the scan of a step.
func (step closedStep) scan(t *testing.T, s *procfsScanner) *closewait.Snapshot {
	t.Helper()
	s.closed.recheckCost = 0 // the real cost must not matter
	if step.costly {
		s.closed.recheckCost, s.closed.recheckedAt = time.Hour, time.Now()
	}
	if !step.missed {
		snapshot, err := s.Scan(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return snapshot
	}
	pids, err := s.host.ListPIDs()
	if err != nil {
		t.Fatal(err)
	}
	scan := s.begin()
	scan.taken, scan.set.reached = time.Now(), s.namespacesOf(pids)
	if err := s.findOwners(t.Context(), scan, pids); err != nil {
		t.Fatal(err)
	}
	return &closewait.Snapshot{Sockets: scan.set.sockets}
}

func TestWhatLeavesCloseWaitIsClosedWhenItsDescriptorIsThereAndNoTableHasIt(t *testing.T) {
	table := func(rows ...string) map[string]string {
		return map[string]string{"100/net/tcp": fakeTCP + strings.Join(rows, "")}
	}
	begin := closedStep{name: "in CLOSE_WAIT", want: "4242 100"}
	for name, sequence := range map[string][]closedStep{
		"a socket whose connection ends": {
			begin,
			{name: "its row is gone", change: table(), want: "4242 closed 100"},
			{name: "and stays so", want: "4242 closed 100"},
			{name: "both of its descriptors are closed", change: map[string]string{"100/fd/7": removed, "100/fd/8": removed}},
			{name: "it does not come back with a descriptor alone", change: map[string]string{"100/fd/7": link + "socket:[4242]"}},
		},
		"a socket that is closed": {
			begin,
			{name: "row and descriptors are gone", change: both(table(), map[string]string{"100/fd/7": removed, "100/fd/8": removed})},
		},
		"a descriptor that is another file by now": {
			begin,
			{name: "a pipe with that number", change: both(table(), map[string]string{"100/fd/7": link + "pipe:[4242]", "100/fd/8": removed})},
		},
		"a process that has ended": {
			begin,
			{name: "and another one has its pid", change: both(table(), map[string]string{"100/stat": strings.Replace(fakeStat, " 4200 ", " 4201 ", 1)})},
		},
		"a process that ends later": {
			begin,
			{name: "its row is gone", change: table(), want: "4242 closed 100"},
			{name: "another one has its pid", change: map[string]string{"100/stat": strings.Replace(fakeStat, " 4200 ", " 4201 ", 1)}},
		},
		"a socket that was shut down": {
			begin,
			{name: "it is in LAST_ACK", change: table(fakeLastACK)},
			{name: "and stays so"},
			{name: "the peer has answered", change: table(), want: "4242 closed 100"},
		},
		"a socket that was shut down and closed": {
			begin,
			{name: "it is in LAST_ACK", change: table(fakeLastACK)},
			{name: "then closed", change: both(table(), map[string]string{"100/fd/7": removed, "100/fd/8": removed})},
		},
		"a connection in TIME_WAIT with its addresses and inode, which is no socket": {
			begin,
			{name: "beside it", change: table(fakeTimeWait), want: "4242 closed 100"},
		},
		"a namespace that cannot be read for a while": {
			begin,
			{name: "not readable", change: map[string]string{"100/net/tcp": link + "tcp"}},
			{name: "readable again, and its row is gone", change: table(), want: "4242 closed 100"},
		},
		"a holder of two": {
			{name: "both hold it", change: both(alive(200, 6, 4242), map[string]string{"200/ns/net": link + "net:[1234567890]"}), want: "4242 100 200"},
			{name: "its row is gone", change: table(), want: "4242 closed 100 200"},
			{name: "one closes", change: map[string]string{"200/fd/4242": removed}, want: "4242 closed 100"},
		},
		"a socket that was never seen in CLOSE_WAIT": {
			{name: "held, and in no table", change: table()},
			{name: "and stays so"},
		},
		"a socket that one dump misses": {
			begin,
			{name: "missed", missed: true},
			{name: "there again", want: "4242 100"},
			{name: "its row is gone", change: table(), want: "4242 closed 100"},
		},
		"a socket that one dump misses and whose connection ends before the next": {
			begin,
			{name: "missed", missed: true},
			{name: "its row is gone", change: table(), want: "4242 closed 100"},
		},
		"a socket that two dumps miss and whose connection ends then": {
			begin,
			{name: "missed", missed: true},
			{name: "missed again", missed: true},
			{name: "its row is gone", change: table(), want: "4242 closed 100"},
		},
		"a socket that could not be asked for, comes back, and ends before it is asked for again": {
			begin,
			{name: "not readable", change: map[string]string{"100/net/tcp": link + "tcp"}},
			{name: "in CLOSE_WAIT again", change: table(fakeRow), want: "4242 100", costly: true},
			{name: "its row is gone", change: table(), want: "4242 closed 100"},
		},
		"a socket whose connection ends, is made again, and ends again": {
			begin,
			{name: "its row is gone", change: table(), want: "4242 closed 100"},
			{name: "in CLOSE_WAIT again", change: table(fakeRow), want: "4242 100"},
			{name: "its row is gone again", change: table(), want: "4242 closed 100"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			kerneltest.Plant(t, dir, fakeProcess())
			s := openFake(t, dir, Options{Refresh: time.Hour})
			for _, step := range sequence {
				changeTree(t, dir, step.change)
				snapshot := step.scan(t, s)
				if got := describeSockets(snapshot); got != step.want {
					t.Errorf("%s: %q, want %q", step.name, got, step.want)
				}
				if snapshot.Complete.Has(closewait.Closed) {
					t.Errorf("%s: all that are closed are said to be known", step.name)
				}
			}
		})
	}
}

// describeSockets describes the sockets of the fake namespace: whether each is closed, and its
// holders.
func describeSockets(snapshot *closewait.Snapshot) string {
	var all []string
	for _, s := range snapshot.Sockets {
		if s.ID.NetNS != fakeNS {
			continue
		}
		one := fmt.Sprint(s.Inode)
		if s.State == closewait.Closed {
			one += " closed"
		}
		for _, id := range s.Holders {
			one += fmt.Sprint(" ", id.PID)
		}
		all = append(all, one)
	}
	return strings.Join(all, ", ")
}
