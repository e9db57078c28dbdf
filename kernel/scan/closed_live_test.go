package scan_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"closewait_exporter/closewait"
	"closewait_exporter/internal/hosttest"
	"closewait_exporter/internal/leaktest"
	"closewait_exporter/internal/leaktest/tcp"
	"closewait_exporter/kernel/scan"
)

// waysToEnd are ways in which the connection of a socket in CLOSE_WAIT ends.
var waysToEnd = map[string]func(*testing.T, *connection){
	"a RST of the peer": func(_ *testing.T, c *connection) { c.ResetClient() },
	"data to a peer that has gone": func(t *testing.T, c *connection) {
		c.Client.Close()
		if _, err := c.Server.Write([]byte("are you there?")); err != nil {
			t.Fatal(err)
		}
	},
	"SOCK_DESTROY": func(t *testing.T, c *connection) {
		filter := fmt.Sprintf("sport = :%d and dport = :%d", c.Local().Port(), c.Remote().Port())
		if out, err := exec.Command("ss", "-tK", "state", "close-wait", filter).CombinedOutput(); err != nil {
			t.Skipf("needs ss: %v\n%s", err, out)
		}
		c.Client.Close() // the RST has closed it too
	},
}

func TestASocketThatBecomesClosedStaysTheSameUntilItIsClosed(t *testing.T) {
	hosttest.Require(t)
	withEachScanner(t, func(t *testing.T, kind scannerKind) {
		for name, end := range waysToEnd {
			for _, address := range []string{"127.0.0.1:0", "[::1]:0", "[::]:0"} {
				t.Run(name+", "+address, func(t *testing.T) {
					c := connect(t, listen(t, address))
					c.send("data")
					c.HalfCloseClient()
					scanner := openTracked(t, kind, scan.Options{Refresh: time.Hour})
					v := scanner.view()
					if len(v.closed) != 0 || v.held(os.Getpid()) != 1 {
						t.Fatalf("at first %d closed: %v", len(v.closed), v)
					}
					before := v.holder(os.Getpid()).Ended.Sockets[0]
					want := asClosed(before.Facts)
					end(t, c)
					c.AwaitServer(tcp.Closed)
					for range 3 {
						v := scanner.view()
						v.showsClosed(want, os.Getpid())
						if after := v.holder(os.Getpid()).Ended.Sockets[0]; !after.Since.Equal(before.Since) {
							t.Errorf("since %v, in CLOSE_WAIT since %v", after.Since, before.Since)
						}
					}
					c.Server.Close()
					if v := scanner.view(); len(v.closed) != 0 {
						t.Errorf("after it was closed: %+v", v.closed)
					}
					if counted := scanErrorsOf(scanner.host); len(counted) != 0 {
						t.Errorf("scan errors %v", counted)
					}
				})
			}
		}
	})
}

// asClosed returns the facts of a socket that stay known after its connection has ended.
func asClosed(f closewait.Facts) closewait.Facts {
	f.State, f.RecvQueue, f.SendQueue, f.Timer = closewait.Closed, 0, 0, closewait.TimerNone
	f.BytesSent, f.BytesAcked, f.BytesReceived = 0, 0, 0
	return f
}

// showsClosed checks that exactly this socket is reported as closed, with its holders.
func (v view) showsClosed(want closewait.Facts, holders ...int) {
	v.t.Helper()
	if len(v.closed) != 1 {
		v.t.Fatalf("%d sockets are closed: %+v", len(v.closed), v.closed)
	}
	got := v.closed[0]
	facts := got.Facts
	if v.Complete.Has(closewait.Closed) { // ebpf reads the socket itself, with the numbers of bytes
		facts = asClosed(facts)
	}
	if facts != want {
		v.t.Errorf("facts (-want +got):\n%s", cmp.Diff(fmt.Sprintf("%+v", want), fmt.Sprintf("%+v", facts)))
	}
	slices.Sort(holders)
	if got.Owner != closewait.OwnedByProcess || !slices.Equal(pidsOf(got.Holders), holders) {
		v.t.Errorf("held by %v, %v, want %v", got.Owner, got.Holders, holders)
	}
}

func TestADescriptorThatIsAnotherSocketNowIsNotClosed(t *testing.T) {
	hosttest.Require(t)
	withEachScanner(t, func(t *testing.T, kind scannerKind) {
		c, other := connect(t, listen(t, "127.0.0.1:0")), connect(t, listen(t, "127.0.0.1:0"))
		c.HalfCloseClient()
		file, err := c.Server.File()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { file.Close() })
		c.Server.Close()
		alive, err := other.Server.File()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { alive.Close() })
		scanner := openTracked(t, kind, scan.Options{Refresh: time.Hour})
		scanner.view()
		if err := errors.Join(c.Client.SetLinger(0), c.Client.Close(), tcp.AwaitState(int(file.Fd()), tcp.Closed)); err != nil {
			t.Fatal(err)
		}
		if v := scanner.view(); len(v.closed) != 1 {
			t.Fatalf("%d closed, want 1", len(v.closed))
		}
		if err := unix.Dup3(int(alive.Fd()), int(file.Fd()), unix.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
		if v := scanner.view(); len(v.closed) != 0 {
			t.Errorf("%+v", v.closed)
		}
	})
}

func TestClosedSocketsAreSeenWhereverTheyAre(t *testing.T) {
	hosttest.Require(t)
	for name, c := range map[string]struct {
		where leaktest.Where
		flags []string
	}{
		"in a network namespace":                               {where: leaktest.Where{NetNS: true}, flags: []string{"--listen=127.0.0.1:0", "--listen=[::1]:0"}},
		"in a pid namespace":                                   {where: leaktest.Where{PIDNS: true}},
		"of another user":                                      {where: leaktest.Where{UID: unprivilegedID}},
		"in the table of a single thread":                      {flags: []string{"--private-fdtable"}},
		"of a process whose leader has ended":                  {flags: []string{"--zombie-leader"}},
		"of such a process, in the table of a single thread":   {flags: []string{"--zombie-leader", "--private-fdtable"}},
		"of several processes":                                 {flags: []string{"--children=2"}},
		"of several processes in one namespace, two listeners": {where: leaktest.Where{NetNS: true}, flags: []string{"--children=1", "--listen=[::]:0", "--connect=127.0.0.1", "--listen=127.0.0.1:0"}},
	} {
		t.Run(name, func(t *testing.T) {
			withEachScanner(t, func(t *testing.T, kind scannerKind) {
				l := c.where.Start(t, append(c.flags, "--sockets=5", "--closed=1")...)
				scanner := openTracked(t, kind, scan.Options{Refresh: time.Hour})
				for _, command := range []string{"state", "reset 3", "reset 1", "discard 2", "discard 1", "leak 1", "reset 2", "discard 3"} {
					l.Do(command)
					scanner.view().agreesWithTruth(l)
					if t.Failed() {
						t.Fatalf("after %q", command)
					}
				}
				l.Do("leak 2")
				scanner.view()
				l.Do("reset 2")
				scanner.view().agreesWithTruth(l)
				l.Stop()
				if v := scanner.view(); len(v.closed) != 0 {
					t.Errorf("after its end: %+v", v.closed)
				}
				if scanErrors := scanErrorsOf(scanner.host); len(scanErrors) != 0 {
					t.Errorf("scan errors %v", scanErrors)
				}
			})
		})
	}
}

// TestAProcessThatHasDiedHasNoClosedSocketsAtOnce also holds while the process is a zombie.
func TestAProcessThatHasDiedHasNoClosedSocketsAtOnce(t *testing.T) {
	withEachScanner(t, func(t *testing.T, kind scannerKind) {
		l := leaktest.Start(t, "--sockets=3", "--children=1")
		scanner := openTracked(t, kind, scan.Options{Refresh: time.Hour})
		scanner.view()
		l.Do("reset 3")
		scanner.view().agreesWithTruth(l)
		l.Signal(unix.SIGKILL)
		awaitZombie(t, l.PID)
		v := scanner.view()
		if len(v.closed) != 3 {
			t.Errorf("%d closed, want 3: the child keeps them", len(v.closed))
		}
		for _, s := range v.closed {
			if pids := pidsOf(s.Holders); !slices.Equal(pids, l.Children) {
				t.Errorf("held by %v, want %v", pids, l.Children)
			}
		}
	})
}

func TestAWalkFindsNewHoldersOfClosedSockets(t *testing.T) {
	hosttest.Require(t)
	withEachScanner(t, func(t *testing.T, kind scannerKind) {
		listener := listen(t, "127.0.0.1:0")
		c, later := connect(t, listener), connect(t, listener)
		c.HalfCloseClient()
		scanner := openTracked(t, kind, scan.Options{Refresh: time.Hour})
		scanner.view()
		c.ResetClient()
		want := asClosed(scanner.view().closed[0].Facts)
		file, err := c.Server.File()
		if err != nil {
			t.Fatal(err)
		}
		child := keepOpen(t, file)
		later.CloseClient() // a new socket in CLOSE_WAIT causes a walk
		scanner.await(func(v view) (bool, string) { return v.held(os.Getpid()) > 0, v.String() }).showsClosed(want, os.Getpid(), child.Pid)
		c.Server.Close()
		scanner.view().showsClosed(want, child.Pid)
	})
}

// connectionWithoutPackets returns a connection in another network namespace whose loopback
// interface is down. restore sets it up.
func connectionWithoutPackets(t *testing.T, prepare func(*connection)) (c *connection, restore func()) {
	t.Helper()
	there := leaktest.Where{NetNS: true}.Start(t)
	inNamespaceOf(t, there.PID, func() { c = connect(t, listen(t, "127.0.0.1:0")) })
	c.HalfCloseClient()
	prepare(c)
	set := func(state string) {
		out, err := exec.Command("nsenter", "--net=/proc/"+strconv.Itoa(there.PID)+"/ns/net", "--", "ip", "link", "set", "lo", state).CombinedOutput()
		if err != nil {
			t.Skipf("needs ip and nsenter: %v\n%s", err, out)
		}
	}
	set("down")
	c.Client.Close() // it would be closed too, in the end
	return c, func() { set("up") }
}

func TestASocketInLastACKIsNotClosed(t *testing.T) {
	hosttest.Require(t)
	withEachScanner(t, func(t *testing.T, kind scannerKind) {
		scanner := openTracked(t, kind, scan.Options{Refresh: time.Hour})
		var want closewait.Facts
		c, restore := connectionWithoutPackets(t, func(*connection) { want = asClosed(scanner.view().holder(os.Getpid()).Ended.Sockets[0].Facts) })
		if err := c.Server.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		c.AwaitServer(tcp.LastACK)
		for range 3 {
			if v := scanner.view(); len(v.closed) != 0 {
				t.Fatalf("%+v", v.closed)
			}
		}
		restore()
		c.AwaitServer(tcp.Closed)
		scanner.await(func(v view) (bool, string) { return len(v.closed) == 1, v.String() }).showsClosed(want, os.Getpid())
	})
}

func TestKeepaliveWithoutAnswerMakesASocketClosed(t *testing.T) {
	hosttest.Require(t)
	withEachScanner(t, func(t *testing.T, kind scannerKind) {
		scanner := openTracked(t, kind, scan.Options{Refresh: time.Hour})
		c, _ := connectionWithoutPackets(t, func(c *connection) {
			scanner.view()
			if err := c.Server.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: time.Second, Interval: time.Second, Count: 1}); err != nil {
				t.Fatal(err)
			}
		})
		c.AwaitServer(tcp.Closed)
		v := scanner.view()
		if len(v.closed) != 1 || v.closed[0].Remote != c.Remote() {
			t.Errorf("%+v", v.closed)
		}
	})
}
