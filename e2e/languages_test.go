package e2e

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"closewait_exporter/internal/leaktest"
)

// leaked is the number of connections that the programs leak.
const leaked = 3

// javaQuick saves CPU time in a JVM that runs only for seconds.
const javaQuick = "-XX:TieredStopAtLevel=1"

// ignoreKeepaliveAndShared leaves out what is only compared with ss: whether a language sets
// keepalive does not matter.
var ignoreKeepaliveAndShared = cmpopts.IgnoreFields(summary{}, "Keepalive", "Shared")

// TestServersThatLeak runs servers that leak, each in a way that is common in its language.
func TestServersThatLeak(t *testing.T) {
	leaktest.RequireRoot(t)
	e := serve(t)
	tests := []struct {
		name    string
		command []string
		client  func(*testing.T, string, uint16)
		host    string
		unread  string
		holders int
		verdict string
	}{
		{"Python with threads, which reads the end of file and does not close",
			[]string{"python3", "testdata/python/threads.py"}, requestAndClose, "::1", "none", 1, "never_closes"},
		{"Python that forks for each client and hangs, so that children share sockets",
			[]string{"python3", "testdata/python/prefork.py"}, requestAndClose, "127.0.0.1", "fin", 1 + leaked, "shared"},
		{"Python asyncio that sends on after a half-close",
			[]string{"python3", "testdata/python/halfclose.py"}, requestAndHalfClose, "127.0.0.1", "none", 1, "half_close"},
		{"Java that keeps connections, on an IPv6 socket",
			[]string{"java", javaQuick, "testdata/java/LeakingServer.java"}, requestAndClose, "127.0.0.1", "fin", 1, "never_reads"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := startForeign(t, tt.command...)
			for range leaked {
				tt.client(t, tt.host, p.port)
			}
			holders := awaitLeak(t, p, tt.unread)
			if len(holders) != tt.holders {
				t.Errorf("ss lists the holders %v, want %d", holders, tt.holders)
			}
			for _, pid := range holders {
				got := requireAgreement(t, e.in(t), pid, holders)
				want := summary{
					Sockets: leaked, Remotes: 1,
					Unread:   map[string]int{tt.unread: leaked},
					Services: map[string]int{fmt.Sprint("inbound ", p.port): leaked},
				}
				if diff := cmp.Diff(want, got, ignoreKeepaliveAndShared); pid == p.pid && diff != "" {
					t.Errorf("leak of the server (-want +got):\n%s", diff)
				}
			}
			awaitVerdict(t, p.pid, tt.verdict)
		})
	}
}

// TestClientsThatLeak runs HTTP clients that do not close their connections to a server that has
// closed them.
func TestClientsThatLeak(t *testing.T) {
	leaktest.RequireRoot(t)
	e := serve(t)
	url, port := webServer(t)
	times := strconv.Itoa(leaked)
	tests := []struct {
		name    string
		command []string
	}{
		{"Java HttpURLConnection without close()", []string{"java", javaQuick, "testdata/java/LeakingClient.java", url, times}},
		{"Go net/http without Body.Close()", []string{leaktest.Build(t), "http-client", url, times}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := startForeign(t, tt.command...)
			p.port = port
			awaitLeak(t, p, "data")
			got := requireAgreement(t, e.in(t), p.pid, []int{p.pid})
			service := fmt.Sprint("outbound ", port)
			if leaktest.TablesOnly() {
				service = unknownService
			}
			want := summary{
				Sockets: leaked, Remotes: 1, UnreadBytes: got.UnreadBytes,
				Unread:   map[string]int{"data": leaked},
				Services: map[string]int{service: leaked},
			}
			if diff := cmp.Diff(want, got, ignoreKeepaliveAndShared); diff != "" {
				t.Errorf("leak of the client (-want +got):\n%s", diff)
			}
			if most := uint64(leaked * (pageSize + 1024)); got.UnreadBytes == 0 || got.UnreadBytes > most {
				t.Errorf("%d bytes unread, want some, and at most %d: pages with their headers", got.UnreadBytes, most)
			}
			awaitVerdict(t, p.pid, "never_reads", "left the answers on 3 connections unread")
		})
	}
}

// awaitLeak waits until the program has leaked all its connections, and returns their holders.
func awaitLeak(t *testing.T, p foreign, unread string) (holders []int) {
	t.Helper()
	leaktest.Eventually(t, maxWait, func() (bool, string) {
		mine, all := heldBy(leaktest.SSOf(t, p.family(t)), p.pid), map[int]bool{}
		for _, row := range mine {
			for _, user := range row.Users {
				all[user.PID] = true
			}
		}
		holders = slices.Sorted(maps.Keys(all))
		n := summaryOfSS(t, mine).Unread[unread]
		return n == leaked, fmt.Sprintf("%d of %d sockets of process %d are unread=%s", n, leaked, p.pid, unread)
	})
	return holders
}

// TestWhatStreamsIsNotQuiet distinguishes the half-close of a busy server from a leak. The server
// sends the time, which limits how long its socket can have been quiet, also on a loaded machine.
func TestWhatStreamsIsNotQuiet(t *testing.T) {
	leaktest.RequireRoot(t)
	e := serve(t)
	p := startForeign(t, "python3", "testdata/python/halfclose.py")
	sent := stream(t, "127.0.0.1", p.port)
	const old = 2.0          // seconds
	const granularity = 0.05 // seconds; the kernel counts in ticks
	e.await(func(m metrics) (bool, string) {
		age := m.sum("closewait_process_oldest_socket_age_seconds", of(p.pid)...)
		return age >= old, fmt.Sprintf("the socket of process %d is %v s old", p.pid, age)
	})
	leaktest.Eventually(t, maxWait, func() (bool, string) {
		last := sent()
		l := list(t, "--collector.min-age=0s")
		sockets := l.socketsOf(p.pid)
		if len(sockets) != 1 {
			t.Fatalf("sockets of process %d: %+v, want one", p.pid, sockets)
		}
		most := l.Taken.Sub(last).Seconds() + granularity
		q := sockets[0].QuietSeconds // nil: something is moving
		if q != nil && *q > most {
			t.Fatalf("a socket that streams is reported as quiet for %v s, want at most %v s", *q, most)
		}
		return q != nil && most < old/2, fmt.Sprintf("quiet is %v and may be up to %v s: that proves nothing", q, most)
	})
}
