package kernel_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"closewait_exporter/internal/leaktest"
	"closewait_exporter/kernel"
)

func TestUnusableOptionsAreErrorsThatSayWhatToDo(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		options kernel.Options
		want    []string
	}{
		"an engine that does not exist":   {kernel.Options{Scanner: "lsof"}, []string{`"lsof"`, "netlink", "procfs"}},
		"a scope that does not exist":     {kernel.Options{Namespaces: "some"}, []string{`"some"`, "all", "own"}},
		"an empty directory for /proc":    {kernel.Options{ProcFS: t.TempDir()}, []string{"no proc file system", "--path.procfs"}},
		"no such directory":               {kernel.Options{ProcFS: "/no/such"}, []string{"/no/such", "--path.procfs"}},
		"a file instead of the directory": {kernel.Options{ProcFS: file}, []string{file, "--path.procfs"}},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := kernel.NewScanner(c.options)
			if err == nil {
				s.Close()
				t.Fatal("no error")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not contain %q", err, want)
				}
			}
		})
	}
}

func TestTheBestEngineThatWorksIsUsedAndSaysWhyNoBetterOne(t *testing.T) {
	l := leaktest.Start(t, "--sockets=3", "--unaccepted=2")
	for _, c := range []struct {
		name   string
		forbid order
		engine string
		says   []string // why not a better one
	}{
		{"all work", order{}, kernel.ScannerEBPF, nil},
		{"netlink alone is forbidden", order{NoNetlink: true}, kernel.ScannerEBPF, nil},
		{"BPF is forbidden", order{NoBPF: true}, kernel.ScannerNetlink, []string{"ebpf", "operation not permitted", "CAP_BPF"}},
		{"both are", order{NoBPF: true, NoNetlink: true}, kernel.ScannerProcFS,
			[]string{"ebpf", "CAP_BPF", "netlink", "address family not supported"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			looker := startLooker(t, nil)
			c.forbid.Open, c.forbid.Look = &kernel.Options{}, true
			got := looker.ask(c.forbid)
			if got.Error != "" {
				t.Fatal(got.Error)
			}
			if got.Visibility.Scanner != c.engine || (got.Visibility.Fallback != "") != (len(c.says) > 0) {
				t.Errorf("engine %q because %q", got.Visibility.Scanner, got.Visibility.Fallback)
			}
			for _, word := range c.says {
				if !strings.Contains(got.Visibility.Fallback, word) {
					t.Errorf("%q does not say %q", got.Visibility.Fallback, word)
				}
			}
			if h := got.Holders[l.PID]; h.Held != 3 || h.Unaccepted != 2 {
				t.Errorf("%d sockets and %d unaccepted, want 3 and 2", h.Held, h.Unaccepted)
			}
			for engine, forbidden := range map[string]bool{kernel.ScannerEBPF: c.forbid.NoBPF, kernel.ScannerNetlink: c.forbid.NoNetlink} {
				got = looker.ask(order{Open: &kernel.Options{Scanner: engine}})
				if says := strings.Contains(got.Error, engine) && strings.Contains(got.Error, "--collector.scanner=auto"); says != forbidden {
					t.Errorf("error %q when %s was asked for", got.Error, engine)
				}
			}
		})
	}
}

func TestNetlinkThatStopsWorkingIsAnError(t *testing.T) {
	leaktest.Start(t, "--sockets=3")
	looker := startLooker(t, nil)
	got := looker.ask(order{Open: &kernel.Options{Scanner: kernel.ScannerNetlink}, Look: true})
	if got.Error != "" {
		t.Fatal(got.Error)
	}
	got = looker.ask(order{NoNetlink: true, Look: true})
	if !strings.Contains(got.Error, "read sockets") || len(got.Holders) != 0 || got.Faults["sockets/other"] == 0 {
		t.Errorf("error %q, holders %v, faults %v", got.Error, got.Holders, got.Faults)
	}
}

func TestAScanThatIsCalledOffIsNoFault(t *testing.T) {
	ownHost(t)
	c := converse(t, listen(t, "127.0.0.1:0"))
	c.leave()
	withEachEngine(t, func(t *testing.T, e engine) {
		eyes := newEyes(t, e, kernel.Options{})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if snapshot, err := eyes.Scan(ctx); !errors.Is(err, context.Canceled) || snapshot != nil {
			t.Errorf("snapshot %v, error %v", snapshot, err)
		}
		if faults := faultsOf(eyes.Scanner); len(faults) != 0 {
			t.Errorf("faults %v", faults)
		}
		if v := eyes.look(); v.held(os.Getpid()) != 1 {
			t.Errorf("after that: %v", v)
		}
	})
}

func TestTheSightSaysWhatIsInUse(t *testing.T) {
	withEachEngine(t, func(t *testing.T, e engine) {
		s := newEyes(t, e, kernel.Options{Namespaces: kernel.OwnNamespace}).Visibility()
		if s.Scanner != e.name || s.Namespaces != kernel.OwnNamespace || s.Fallback != "" {
			t.Errorf("sight %+v", s)
		}
	})
	s, err := kernel.NewScanner(kernel.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if s.Engine() != kernel.ScannerEBPF || s.Visibility().Namespaces != kernel.AllNamespaces {
		t.Errorf("by default %+v", s.Visibility())
	}
}
