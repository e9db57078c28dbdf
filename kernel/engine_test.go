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
		"an engine that does not exist":   {kernel.Options{Engine: "lsof"}, []string{`"lsof"`, "netlink", "procfs"}},
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

func TestWithoutNetlinkTheProcfsEngineIsUsedAndSaysWhy(t *testing.T) {
	l := leaktest.Start(t, "--sockets=3")
	looker := startLooker(t, nil)
	got := looker.ask(order{NoNetlink: true, Open: &kernel.Options{}, Look: true})
	if got.Error != "" {
		t.Fatal(got.Error)
	}
	if got.Sight.Engine != kernel.EngineProcFS || !strings.Contains(got.Sight.Fallback, "netlink") || !strings.Contains(got.Sight.Fallback, "address family not supported") {
		t.Errorf("engine %q because %q", got.Sight.Engine, got.Sight.Fallback)
	}
	if n := got.Holders[l.PID].Held; n != 3 {
		t.Errorf("%d sockets, want 3", n)
	}
	got = looker.ask(order{Open: &kernel.Options{Engine: kernel.EngineNetlink}})
	if !strings.Contains(got.Error, "netlink") || !strings.Contains(got.Error, "--collector.scanner=procfs") {
		t.Errorf("error %q when it was asked for: it does not say what to do", got.Error)
	}
}

func TestNetlinkThatStopsWorkingIsAnError(t *testing.T) {
	leaktest.Start(t, "--sockets=3")
	looker := startLooker(t, nil)
	got := looker.ask(order{Open: &kernel.Options{Engine: kernel.EngineNetlink}, Look: true})
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
		s := newEyes(t, e, kernel.Options{Namespaces: kernel.OwnNamespace}).Sight()
		if s.Engine != e.name || s.Namespaces != kernel.OwnNamespace || s.Fallback != "" {
			t.Errorf("sight %+v", s)
		}
	})
	s, err := kernel.NewScanner(kernel.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if s.Engine() != kernel.EngineNetlink || s.Sight().Namespaces != kernel.AllNamespaces {
		t.Errorf("by default %+v", s.Sight())
	}
}
