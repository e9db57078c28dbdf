package scan_test

import (
	"os"
	"slices"
	"strconv"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"closewait_exporter/closewait"
	"closewait_exporter/internal/hosttest"
	"closewait_exporter/internal/leaktest/tcp"
	"closewait_exporter/kernel/scan"
)

// startActor starts an actor and returns when it is ready.
func startActor(t testing.TB, attr *syscall.SysProcAttr) *subprocess {
	t.Helper()
	actor := startRole(t, actorRole, attr)
	actor.do(operation{Do: "receive"}) // nothing
	return actor
}

// do has an actor carry out operations.
func (p *subprocess) do(acts ...operation) {
	p.t.Helper()
	for _, next := range acts {
		var done operationResult
		if p.exchange(next, &done); done.Error != "" {
			p.t.Fatal(done.Error)
		}
	}
}

// Sizes of the operation "connect", for a TCP client.
const accepted, unaccepted = 1, 5

func TestWhatHoldsNoConnectionIsNotClosed(t *testing.T) {
	hosttest.Require(t)
	actor := startActor(t, &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET})
	for name, acts := range map[string][]operation{
		"never connected":               {{Do: "noise", Size: 0}, {Do: "noise", Size: 0, Which: 1}},
		"bound":                         {{Do: "noise", Size: 1}, {Do: "noise", Size: 1, Which: 1}},
		"a listener that was shut down": {{Do: "noise", Size: 2}, {Do: "noise", Size: 2, Which: 1}},
		"refused":                       {{Do: "noise", Size: 3}, {Do: "noise", Size: 3, Which: 1}},
		"still connecting":              {{Do: "noise", Size: 4}, {Do: "noise", Size: 4, Which: 1}},
		"disconnected after use":        {{Do: "connect", Size: accepted}, {Do: "disconnect"}, {Do: "close", Which: 1}},
		"disconnected after use, IPv6":  {{Do: "connect", Which: 2, Size: accepted}, {Do: "disconnect"}, {Do: "close", Which: 1}},
		"a listener that closed":        {{Do: "connect", Size: unaccepted}, {Do: "reopen"}, {Do: "close"}},
		"in a queue of a listener that never accepts": {{Do: "connect", Which: 3, Size: unaccepted}, {Do: "reset"}},
		"connected, and nothing else ever":            {{Do: "connect", Size: accepted}},
	} {
		t.Run(name, func(t *testing.T) {
			actor.do(acts...)
			withEachScanner(t, func(t *testing.T, kind scannerKind) {
				scanner := openTracked(t, kind, scan.Options{})
				scanner.view()
				v := scanner.view()
				if len(v.closed) != 0 {
					t.Errorf("closed: %+v", v.closed)
				}
				n := 0
				if h := v.find(actor.process.Pid); h != nil {
					n = h.Other.States[closewait.Unconnected]
				}
				want := 0
				for _, held := range readAllSockets(t) {
					if !kind.walks && held.state == tcp.Closed && slices.Contains(held.holders, actor.process.Pid) {
						want++
					}
				}
				if n != want {
					t.Errorf("%d unconnected, want %d", n, want)
				}
			})
			for range 2 {
				actor.do(operation{Do: "close"})
			}
		})
	}
}

func TestASocketThatWasResetBeforeItWasAcceptedIsClosedAfterwards(t *testing.T) {
	hosttest.Require(t)
	actor := startActor(t, nil)
	actor.do(operation{Do: "connect", Size: unaccepted}, operation{Do: "reset"})
	withEachScanner(t, func(t *testing.T, kind scannerKind) {
		if v := openTracked(t, kind, scan.Options{}).view(); len(v.closed) != 0 || v.Sockets.Total() != 0 {
			t.Errorf("before it is accepted: %+v, %v", v.closed, v)
		}
	})
	actor.do(operation{Do: "accept"})
	withEachScanner(t, func(t *testing.T, kind scannerKind) {
		v := openTracked(t, kind, scan.Options{}).view()
		if n := len(v.closed); v.Complete.Has(closewait.Closed) && n != 1 || !v.Complete.Has(closewait.Closed) && n != 0 {
			t.Fatalf("%d closed, and it sees all of them: %v", n, v.Complete.Has(closewait.Closed))
		}
		if v.Complete.Has(closewait.Closed) && v.find(actor.process.Pid).Ended.States[closewait.Closed] != 1 {
			t.Errorf("held by %v, want %d", v.closed[0].Holders, actor.process.Pid)
		}
	})
}

// TestSocketsOutliveTheLastProcessOfTheirNamespace holds for sockets that BPF finds by their
// descriptors. Tables are reached through processes.
func TestSocketsOutliveTheLastProcessOfTheirNamespace(t *testing.T) {
	hosttest.Require(t)
	there := startActor(t, &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET})
	var c *connection
	ns := netNSOf(t, there.process.Pid)
	inNamespaceOf(t, there.process.Pid, func() { c = connect(t, listen(t, "127.0.0.1:0")) })
	c.HalfCloseClient()
	there.stop()
	withEachScanner(t, func(t *testing.T, kind scannerKind) {
		v := openTracked(t, kind, scan.Options{}).view()
		want := 1
		if kind.walks {
			want = 0
		}
		if n := v.held(os.Getpid()); n != want || v.Namespaces != 1+want || v.UnreadableNamespaces != 0 {
			t.Fatalf("%d sockets, %d namespaces, %d of them unread, want %d, %d and 0", n, v.Namespaces, v.UnreadableNamespaces, want, 1+want)
		}
		if want == 1 && v.socket(ns, c.Local(), c.Remote()).ID.Cookie == 0 {
			t.Error("no cookie is known")
		}
	})
}

// TestANamespaceInWhichOnlyAThreadLives is about a namespace that /proc/PID/ns does not show.
func TestANamespaceInWhichOnlyAThreadLives(t *testing.T) {
	hosttest.Require(t)
	there := startActor(t, &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET})
	var c *connection
	stay, done := make(chan error), make(chan struct{})
	defer close(done)
	inNamespaceOf(t, there.process.Pid, func() {
		c = connect(t, listen(t, "127.0.0.1:0"))
		abandon(t, listen(t, "127.0.0.1:0"))
	})
	c.HalfCloseClient()
	go onOtherThread(func() {
		stay <- enterNamespaceOf(there.process.Pid)
		<-done
	})
	if err := <-stay; err != nil {
		t.Fatal(err)
	}
	there.stop()
	withEachScanner(t, func(t *testing.T, kind scannerKind) {
		v := openTracked(t, kind, scan.Options{}).view()
		held, waiting := v.held(os.Getpid()), v.unaccepted(os.Getpid())
		if want := !kind.walks; (held == 1) != want || (waiting == 1) != want {
			t.Errorf("%d held, %d unaccepted; that all is seen: want %v", held, waiting, want)
		}
	})
}

// enterNamespaceOf moves the calling thread into the network namespace of a process.
func enterNamespaceOf(pid int) error {
	ns, err := os.Open("/proc/" + strconv.Itoa(pid) + "/ns/net")
	if err != nil {
		return err
	}
	defer ns.Close()
	return unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET)
}
