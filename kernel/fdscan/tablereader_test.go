package fdscan

import (
	"os"
	"slices"
	"testing"

	"closewait_exporter/internal/leaktest"
	"closewait_exporter/kernel/host"
)

func TestTablesThatThreadsShareAreReadOnce(t *testing.T) {
	leaktest.RequireRoot(t)
	threads := leaktest.Start(t, "--sockets=3") // a Go program: several threads, one table
	private := leaktest.Start(t, "--sockets=3", "--private-fdtable")
	for name, c := range map[string]struct {
		pid      int
		mayAsk   bool // kcmp(2)
		main, by int  // sockets in CLOSE_WAIT in the table of the leader, and in the tables of other threads
	}{
		"one table":                            {threads.PID, true, 3, 0},
		"one table, where kcmp is refused":     {threads.PID, false, 3, 0},
		"a private table":                      {private.PID, true, 0, 3},
		"a private table, where it is refused": {private.PID, false, 0, 3},
		"this test":                            {os.Getpid(), true, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			h, err := host.Open(host.DefaultPath)
			if err != nil {
				t.Fatal(err)
			}
			defer h.Close()
			if !h.PIDsAreOurs {
				t.Fatal("/proc shows another pid namespace")
			}
			h.PIDsAreOurs = c.mayAsk
			dir, err := h.Proc.OpenPID(c.pid)
			if err != nil {
				t.Fatal(err)
			}
			defer dir.Close()
			leaked := leakedInodes(threads, private)
			found := func(read func(*tableReader) error) (n int) {
				r := newTableReader(h, newInodeFilter(leaked))
				if err := read(r); err != nil {
					t.Fatal(err)
				}
				for _, inode := range r.inodes {
					if _, wanted := IndexOf(leaked, inode); wanted {
						n++
					}
				}
				return n
			}
			if n := found(func(r *tableReader) error { return r.readTable(dir, 0) }); n != c.main {
				t.Errorf("%d sockets in the table of the leader, want %d", n, c.main)
			}
			if n := found(func(r *tableReader) error { return r.readOtherTables(t.Context(), dir, c.pid) }); n != c.by {
				t.Errorf("%d sockets in the tables of other threads, want %d", n, c.by)
			}
		})
	}
}

func leakedInodes(leaks ...*leaktest.Leak) (inodes []InodeIndex) {
	for _, l := range leaks {
		for _, s := range l.Sockets {
			inodes = append(inodes, NewInodeIndex(s.Inode, 0))
		}
	}
	slices.Sort(inodes)
	return inodes
}
