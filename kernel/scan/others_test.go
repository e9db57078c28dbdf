package scan_test

import (
	"fmt"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"closewait_exporter/closewait"
	"closewait_exporter/internal/hosttest"
	"closewait_exporter/internal/leaktest"
	"closewait_exporter/internal/leaktest/tcp"
	"closewait_exporter/internal/leaktest/truth"
	"closewait_exporter/kernel/scan"
)

// others describes the sockets of a program in other states than the ended ones, as the program and
// as a scanner see them.
func (v view) others(l *leaktest.Leak) (want, got []string) {
	describe := func(state closewait.State, local, remote fmt.Stringer, inode uint64) string {
		return fmt.Sprintf("%v: %v to %v, inode %d", state, local, remote, inode)
	}
	states := map[truth.Kind]closewait.State{truth.FinWait2: closewait.FinWait2, truth.Unconnected: closewait.Unconnected}
	for _, s := range l.Sockets {
		if state, other := states[s.Kind]; other && v.Complete.Has(state) {
			want = append(want, describe(state, s.Local, s.Remote, s.Inode))
		}
	}
	if h := v.find(l.PID); h != nil {
		for _, s := range h.Other.Sockets {
			got = append(got, describe(s.State, s.Local, s.Remote, s.Inode))
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	return want, got
}

func TestDescriptorsWithoutALiveConnectionAreReported(t *testing.T) {
	hosttest.Require(t)
	for name, where := range map[string]leaktest.Where{"here": {}, "in a network namespace": {NetNS: true}, "of another user": {UID: unprivilegedID}} {
		for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
			t.Run(name+" on "+address, func(t *testing.T) {
				l := where.Start(t, "--listen="+address, "--fin-wait2=3", "--refused=4", "--bare=2", "--sockets=1", "--closed=1")
				withEachScanner(t, func(t *testing.T, kind scannerKind) {
					scanner := openTracked(t, kind, scan.Options{})
					for range 3 {
						v := scanner.view()
						if want, got := v.others(l); !slices.Equal(want, got) {
							t.Errorf("reported %q, want %q", got, want)
						}
						if kind.walks == v.Complete.Has(closewait.Unconnected) || !v.Complete.Has(closewait.FinWait2) {
							t.Errorf("it sees all in %v", v.Complete)
						}
						h := v.holder(l.PID)
						if h.Entered != uint64(h.Ended.Len()) {
							t.Errorf("%d entered, and %d are ended", h.Entered, h.Ended.Len())
						}
						for _, s := range h.Other.Sockets {
							if outbound := s.Direction == closewait.Outbound; outbound || (s.Direction == closewait.Inbound) != (s.State == closewait.FinWait2) {
								t.Errorf("%+v: only the listener of those in FIN_WAIT2 shows a direction", s)
							}
						}
					}
				})
			})
		}
	}
}

// TestASocketInFinWait2IsFollowedToItsEnd also holds for the usual end: the peer closes, and
// TIME_WAIT stands in the tables for a socket that the program still holds.
func TestASocketInFinWait2IsFollowedToItsEnd(t *testing.T) {
	hosttest.Require(t)
	for name, end := range map[string]func(*connection){
		"the peer closes":   func(c *connection) { c.must(c.Client.Close()) },
		"a RST of the peer": func(c *connection) { c.must(c.Client.SetLinger(0)); c.must(c.Client.Close()) },
	} {
		t.Run(name, func(t *testing.T) {
			withEachScanner(t, func(t *testing.T, kind scannerKind) {
				c := connect(t, listen(t, "127.0.0.1:0"))
				file, err := c.Server.File()
				if err != nil {
					t.Fatal(err)
				}
				defer file.Close()
				fd := int(file.Fd())
				c.must(c.Server.CloseWrite())
				c.must(tcp.AwaitState(fd, tcp.FinWait2))
				scanner := openTracked(t, kind, scan.Options{Refresh: time.Hour})
				find := func(state closewait.State) (found []*closewait.Socket) {
					h := scanner.view().holder(syscall.Getpid())
					for _, s := range slices.Concat(h.Ended.Sockets, h.Other.Sockets) {
						if s.Local == c.Local() && s.Remote == c.Remote() && s.State == state {
							found = append(found, s)
						}
					}
					return found
				}
				if got := find(closewait.FinWait2); len(got) != 1 {
					t.Fatalf("in FIN_WAIT2: %v", got)
				}
				end(c)
				c.must(tcp.AwaitState(fd, tcp.Closed))
				for range 3 {
					if got := find(closewait.Closed); len(got) != 1 || len(find(closewait.FinWait2)) != 0 || got[0].Direction != closewait.Inbound {
						t.Fatalf("closed: %v", got)
					}
				}
			})
		})
	}
}

// TestASocketThatWasClosedInFinWait2IsGone is about the kernel's rest of a connection, which waits
// in FIN_WAIT2 for a minute and has the cookie of the socket.
func TestASocketThatWasClosedInFinWait2IsGone(t *testing.T) {
	hosttest.Require(t)
	withEachScanner(t, func(t *testing.T, kind scannerKind) {
		c := connect(t, listen(t, "127.0.0.1:0"))
		c.must(c.Server.CloseWrite())
		control(t, c.Server, func(fd int) error { return tcp.AwaitState(fd, tcp.FinWait2) })
		scanner := openTracked(t, kind, scan.Options{})
		if n := scanner.view().holder(syscall.Getpid()).Other.States[closewait.FinWait2]; n != 1 {
			t.Fatalf("%d in FIN_WAIT2, want 1", n)
		}
		c.must(c.Server.Close())
		for range 3 {
			snapshot, err := scanner.Scan(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range snapshot.Sockets {
				if s.Local == c.Local() {
					t.Errorf("reported after it was closed: %+v", s)
				}
			}
			if len(snapshot.Confirmed) > 0 {
				t.Errorf("confirmed: %v", snapshot.Confirmed)
			}
		}
	})
}

func TestSocketsInFlightInFinWait2AreNotReported(t *testing.T) {
	hosttest.Require(t)
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(ends[0])
	defer unix.Close(ends[1])
	c := connect(t, listen(t, "127.0.0.1:0"))
	c.must(c.Server.CloseWrite())
	control(t, c.Server, func(fd int) error {
		if err := tcp.AwaitState(fd, tcp.FinWait2); err != nil {
			return err
		}
		return unix.Sendmsg(ends[0], []byte{0}, unix.UnixRights(fd), nil, 0)
	})
	c.must(c.Server.Close())
	withEachScanner(t, func(t *testing.T, kind scannerKind) {
		scanner := openTracked(t, kind, scan.Options{})
		for range 3 {
			snapshot, err := scanner.Scan(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range snapshot.Sockets {
				if s.State == closewait.FinWait2 {
					t.Errorf("reported: %+v", s)
				}
			}
		}
	})
}

// TestSocketsInFinWait2AreCompleteOnceTheirHoldersAreSearched holds for the scanners that read
// tables: they do not read descriptors for such a socket at once.
func TestSocketsInFinWait2AreCompleteOnceTheirHoldersAreSearched(t *testing.T) {
	withEachScanner(t, func(t *testing.T, kind scannerKind) {
		if kind.name == scan.ScannerEBPF {
			t.Skip("it reads all descriptors in each scan")
		}
		c := connect(t, listen(t, "127.0.0.1:0"))
		other := connect(t, listen(t, "127.0.0.1:0"))
		other.CloseClient() // so that descriptors are read in the first scan
		scanner := openTracked(t, kind, scan.Options{Refresh: time.Hour})
		if v := scanner.view(); !v.Complete.Has(closewait.FinWait2) {
			t.Error("not complete without such a socket")
		}
		if err := c.Server.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		scanner.await(func(v view) (bool, string) {
			return !v.Complete.Has(closewait.FinWait2), "complete while a holder is not searched"
		})
		scan.RefreshNow(scanner.Scanner)
		v := scanner.view()
		if n := v.holder(os.Getpid()).Other.States[closewait.FinWait2]; n != 1 || !v.Complete.Has(closewait.FinWait2) {
			t.Errorf("%d in FIN_WAIT2, want 1; complete: %v", n, v.Complete)
		}
	})
}
