package action

import (
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"closewait_exporter/closewait"
	"closewait_exporter/internal/kerneltest"
	"closewait_exporter/internal/leaktest"
	"closewait_exporter/kernel/host"
)

func TestHoldersAreReadAtEachCall(t *testing.T) {
	e := newExecutor(t)
	for _, c := range placements {
		t.Run("sockets "+c.name, func(t *testing.T) {
			l := leaktest.Where{NetNS: true}.Start(t, append(c.flags, "--sockets=3")...)
			list := closeWaitSocketsOf(t, l.PID)
			found, err := e.Holders(t.Context(), list)
			if err != nil || len(list) != 3 || len(found.Of) != 3 {
				t.Fatalf("%d of %d sockets, want 3 of 3; %v", len(found.Of), len(list), err)
			}
			for _, s := range list {
				want := []closewait.ProcessID{kerneltest.IdentityOf(t, l.PID)}
				for _, pid := range l.Children {
					want = append(want, kerneltest.IdentityOf(t, pid))
				}
				slices.SortFunc(want, func(a, b closewait.ProcessID) int { return a.PID - b.PID })
				if !slices.Equal(found.Of[s.ID], want) {
					t.Errorf("holders of %v: %v, want %v", s.Local, found.Of[s.ID], want)
				}
			}
			if !found.Complete {
				t.Error("some process could not be read")
			}
			l.Stop()
			if found, err := e.Holders(t.Context(), list); err != nil || len(found.Of) != 0 {
				t.Errorf("after the end of the program: %v, %v", found.Of, err)
			}
		})
	}
}

func TestHoldersAreIncompleteWhereAProcessCannotBeRead(t *testing.T) {
	root := kerneltest.FakeProcesses(t, 7, "x") // without fd directories, as after the end of a process
	proc, err := host.OpenDirectory(unix.AT_FDCWD, root)
	if err != nil {
		t.Fatal(err)
	}
	defer proc.Close()
	e := &Executor{host: &host.Host{Path: root, Proc: proc, Errors: host.NewScanErrors()}, options: Options{Workers: 1}}
	if found, err := e.Holders(t.Context(), nil); err != nil || !found.Complete {
		t.Errorf("%+v, %v, want them complete", found, err)
	}
	writeFile(t, filepath.Join(root, "7", "fd"), "no directory")
	if found, err := e.Holders(t.Context(), nil); err != nil || found.Complete {
		t.Errorf("%+v, %v, want them incomplete", found, err)
	}
}
