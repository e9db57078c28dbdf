package kernel

import (
	"context"
	"errors"
	"os"
	"slices"
	"testing"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/internal/leaktest"
)

func TestAWalkThatIsCalledOffForgetsNothing(t *testing.T) {
	dir := t.TempDir()
	plant(t, dir, both(map[string]string{"stat": fakeBoot}, alive(100, 5, 11, 12)))
	s, err := NewScanner(Options{ProcFS: dir, Engine: EngineProcFS})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	resolve := func(ctx context.Context, sockets ...closewait.SocketSample) error {
		s.sockets = sockets
		return s.resolveOwners(ctx, time.Now())
	}
	if err := resolve(t.Context(), accepted(11, 1)); err != nil {
		t.Fatal(err)
	}
	looked := s.owners.looked
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := resolve(ctx, accepted(11, 1), accepted(12, 2)); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if !s.owners.looked.Equal(looked) {
		t.Error("half a look passes for a whole one")
	}
	if err := resolve(ctx, accepted(11, 1)); err != nil || owning(s.sockets) != "11: process 100" {
		t.Errorf("%s, %v, though nothing is new", owning(s.sockets), err)
	}
}

func TestOnlyTablesThatAreNotSharedAreReadOfThreads(t *testing.T) {
	leaktest.RequireRoot(t)
	threads := leaktest.Start(t, "--sockets=3") // a Go program: several threads, one table
	private := leaktest.Start(t, "--sockets=3", "--private-fdtable")
	for name, c := range map[string]struct {
		pid      int
		mayAsk   bool // kcmp(2)
		main, by int  // sockets in CLOSE_WAIT in the table of the leader, and in those of other threads
	}{
		"one table":                            {threads.PID, true, 3, 0},
		"one table, where kcmp is refused":     {threads.PID, false, 3, 0},
		"a private table":                      {private.PID, true, 0, 3},
		"a private table, where it is refused": {private.PID, false, 0, 3},
		"this test":                            {os.Getpid(), true, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := NewScanner(Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if !s.pidsAreOurs {
				t.Fatal("/proc is that of another pid namespace")
			}
			s.pidsAreOurs = c.mayAsk
			dir, err := s.proc.openProcess(c.pid)
			if err != nil {
				t.Fatal(err)
			}
			defer dir.close()
			leaked := leakedInodes(threads, private)
			found := func(read func(*visit) error) (n int) {
				v := &visit{walk: &walk{scanner: s, wanted: newSieve(leaked)}, entries: make([]byte, 4096)}
				if err := read(v); err != nil {
					t.Fatal(err)
				}
				for _, inode := range v.inodes {
					if _, wanted := indexOf(leaked, inode); wanted {
						n++
					}
				}
				return n
			}
			if n := found(func(v *visit) error { return v.table(dir, 0) }); n != c.main {
				t.Errorf("%d sockets in the table of the leader, want %d", n, c.main)
			}
			if n := found(func(v *visit) error { return v.otherTables(dir, c.pid) }); n != c.by {
				t.Errorf("%d sockets in the tables of other threads, want %d", n, c.by)
			}
		})
	}
}

func leakedInodes(leaks ...*leaktest.Leak) (inodes []indexed) {
	for _, l := range leaks {
		for _, s := range l.Sockets {
			inodes = append(inodes, newIndexed(s.Inode, 0))
		}
	}
	slices.Sort(inodes)
	return inodes
}
