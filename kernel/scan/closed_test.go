package scan

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/internal/kerneltest"
	"closewait_exporter/kernel/fdscan"
)

// openWithClosed returns a scanner that knows n closed sockets of a fake process.
func openWithClosed(t *testing.T, n int) (s *procfsScanner, dir string) {
	t.Helper()
	dir = t.TempDir()
	inodes := make([]int, n)
	for i := range inodes {
		inodes[i] = 1000 + i
	}
	kerneltest.Plant(t, dir, both(alive(100, 5, inodes...)))
	s = openFake(t, dir, Options{})
	for _, inode := range inodes {
		s.closed.known = append(s.closed.known, deadSocketCandidate{
			Facts:   closewait.Facts{Inode: uint64(inode), State: closewait.Closed},
			holders: []closewait.ProcessID{{PID: 100, Start: 5}}, handles: []fdscan.Handle{{Number: int32(inode)}},
		})
	}
	return s, dir
}

func TestClosedSocketsAreCheckedInTurnForAHundredthOfTheTime(t *testing.T) {
	const n = 3*minChecked - 10
	s, dir := openWithClosed(t, n)
	closedOnes := map[string]string{}
	for i := range n {
		closedOnes[fmt.Sprintf("100/fd/%d", 1000+i)] = removed
	}
	delete(closedOnes, "100/fd/1300")
	now := time.Now()
	s.closed.check(now)
	if len(s.closed.known) != n {
		t.Fatalf("%d are left though all are open, of %d", len(s.closed.known), n)
	}
	changeTree(t, dir, closedOnes)
	for _, want := range []int{n - minChecked, n - 2*minChecked + 1, 1, 1} {
		s.closed.check(now) // no time has passed: as few as possible
		if len(s.closed.known) != want {
			t.Errorf("%d are left, want %d", len(s.closed.known), want)
		}
	}

	s, dir = openWithClosed(t, n)
	changeTree(t, dir, closedOnes)
	s.closed.check(now.Add(time.Hour))
	if len(s.closed.known) != 1 || s.closed.known[0].Inode != 1300 {
		t.Errorf("after a long time %d are left, want only the open one", len(s.closed.known))
	}
}

func TestHoldersOfClosedSocketsSurviveAWalkThatCouldNotReadThem(t *testing.T) {
	first, second, third := closewait.ProcessID{PID: 100, Start: 5}, closewait.ProcessID{PID: 200, Start: 6}, closewait.ProcessID{PID: 300, Start: 7}
	for name, c := range map[string]struct {
		change map[string]string
		want   []closewait.ProcessID
	}{
		"as it was":                         {nil, []closewait.ProcessID{first, second}},
		"one has closed it":                 {map[string]string{"200/fd/11": removed}, []closewait.ProcessID{first}},
		"one has another file for a table":  {map[string]string{"100/fd": "x"}, []closewait.ProcessID{first, second}},
		"all have another file for a table": {map[string]string{"100/fd": "x", "200/fd": "x"}, []closewait.ProcessID{first, second}},
		"a third has received it":           {alive(300, 7, 11), []closewait.ProcessID{first, second, third}},
		"a third, and one is unreadable":    {both(alive(300, 7, 11), map[string]string{"100/fd": "x"}), []closewait.ProcessID{first, second, third}},
		"no process has it any more":        {map[string]string{"100/fd/11": removed, "200/fd/11": removed}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			kerneltest.Plant(t, dir, both(alive(100, 5, 11), alive(200, 6, 11, 12)))
			s := openFake(t, dir, Options{})
			s.closed.known = []deadSocketCandidate{{
				Facts:   closewait.Facts{Inode: 11, State: closewait.Closed},
				holders: []closewait.ProcessID{first, second}, handles: []fdscan.Handle{{Number: 11}, {Number: 11}},
			}}
			changeTree(t, dir, c.change)
			if err := resolve(t.Context(), s, time.Now(), []closewait.SocketSample{accepted(12, 1)}); err != nil {
				t.Fatal(err)
			}
			var got []closewait.ProcessID
			for _, r := range s.closed.known {
				got = append(got, r.holders...)
				if len(r.handles) != len(r.holders) {
					t.Errorf("%d handles of %d holders", len(r.handles), len(r.holders))
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("held by %v, want %v", got, c.want)
			}
		})
	}
}

func TestEveryHolderHasAHandle(t *testing.T) {
	dir := t.TempDir()
	kerneltest.Plant(t, dir, both(alive(100, 5, 11, 12), alive(200, 6, 12, 13), alive(300, 7, 11, 12, 13)))
	for workers := range 3 {
		s := openFake(t, dir, Options{Workers: workers + 1})
		sockets := []closewait.SocketSample{accepted(13, 3), accepted(11, 1), accepted(12, 2), accepted(14, 4)}
		if err := resolve(t.Context(), s, time.Now(), sockets); err != nil {
			t.Fatal(err)
		}
		got := map[uint64]string{}
		for i := range s.owners.table.entries {
			o := &s.owners.table.entries[i]
			for n, h := range s.owners.table.handlesOf(o) {
				got[uint64(o.inode)] += fmt.Sprintf("%d/%s ", o.holderList()[n].PID, strings.TrimSuffix(string(h.AppendPath(nil)), "\x00"))
			}
		}
		want := map[uint64]string{11: "100/fd/11 300/fd/11 ", 12: "100/fd/12 200/fd/12 300/fd/12 ", 13: "200/fd/13 300/fd/13 "}
		if !maps.Equal(got, want) {
			t.Errorf("with %d workers %v, want %v", workers+1, got, want)
		}
	}
}
