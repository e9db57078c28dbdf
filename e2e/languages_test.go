package e2e

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"closewait_exporter/internal/leaktest"
)

// leaked is how many connections the programs leak.
const leaked = 3

// javaQuick saves time where a JVM does not live long.
const javaQuick = "-XX:TieredStopAtLevel=1"

// besidesThat leaves out what is only compared with ss: whether a language sets keepalive is its own
// business.
var besidesThat = cmpopts.IgnoreFields(account{}, "Keepalive", "Shared")

// TestServersThatLeak has servers leak, each in a way that is common in its language.
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
	}{
		{"Python with threads, which sees the end and does not close",
			[]string{"python3", "testdata/python/threads.py"}, visit, "::1", "none", 1},
		{"Python that forks for each client and hangs, so that children share sockets",
			[]string{"python3", "testdata/python/prefork.py"}, visit, "127.0.0.1", "fin", 1 + leaked},
		{"Python asyncio that goes on after a half-close",
			[]string{"python3", "testdata/python/halfclose.py"}, halfClose, "127.0.0.1", "none", 1},
		{"Java that keeps connections, on an IPv6 socket",
			[]string{"java", javaQuick, "testdata/java/LeakingServer.java"}, visit, "127.0.0.1", "fin", 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := startForeign(t, nil, tt.command...)
			for range leaked {
				tt.client(t, tt.host, p.port)
			}
			holders := awaitLeak(t, p, tt.unread)
			if len(holders) != tt.holders {
				t.Errorf("ss sees the holders %v, want %d", holders, tt.holders)
			}
			for _, pid := range holders {
				got := requireAgreement(t, e, pid, holders)
				want := account{
					Sockets: leaked, Remotes: 1,
					Unread:   map[string]int{tt.unread: leaked},
					Services: map[string]int{fmt.Sprint("inbound ", p.port): leaked},
				}
				if diff := cmp.Diff(want, got, besidesThat); pid == p.pid && diff != "" {
					t.Errorf("leak of the server (-want +got):\n%s", diff)
				}
			}
		})
	}
}

// TestClientsThatLeak has HTTP clients forget to close what they got from a server that closes.
func TestClientsThatLeak(t *testing.T) {
	leaktest.RequireRoot(t)
	e := serve(t)
	url, port := webServer(t)
	times := strconv.Itoa(leaked)
	tests := []struct {
		name    string
		env     []string
		command []string
	}{
		{"Java HttpURLConnection without close()", nil, []string{"java", javaQuick, "testdata/java/LeakingClient.java", url, times}},
		{"Go net/http without Body.Close()", []string{roleVariable + "=" + url + " " + times}, []string{os.Args[0]}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := startForeign(t, tt.env, tt.command...)
			p.port = port
			awaitLeak(t, p, "data")
			got := requireAgreement(t, e, p.pid, []int{p.pid})
			want := account{
				Sockets: leaked, Remotes: 1, UnreadBytes: got.UnreadBytes,
				Unread:   map[string]int{"data": leaked},
				Services: map[string]int{fmt.Sprint("outbound ", port): leaked},
			}
			if diff := cmp.Diff(want, got, besidesThat); diff != "" {
				t.Errorf("leak of the client (-want +got):\n%s", diff)
			}
			if most := uint64(leaked * (pageSize + 1024)); got.UnreadBytes == 0 || got.UnreadBytes > most {
				t.Errorf("%d bytes unread, want some, and at most %d: pages with their headers", got.UnreadBytes, most)
			}
		})
	}
}

// awaitLeak waits until the program has leaked all that it will, and returns who holds it.
func awaitLeak(t *testing.T, p foreign, unread string) (holders []int) {
	t.Helper()
	leaktest.Eventually(t, patience, func() (bool, string) {
		mine, all := heldBy(leaktest.SSOf(t, p.family(t)), p.pid), map[int]bool{}
		for _, row := range mine {
			for _, user := range row.Users {
				all[user.PID] = true
			}
		}
		holders = slices.Sorted(maps.Keys(all))
		n := accountOfSS(t, mine).Unread[unread]
		return n == leaked, fmt.Sprintf("%d of %d sockets of process %d are unread=%s", n, leaked, p.pid, unread)
	})
	return holders
}

// TestWhatStreamsIsNotQuiet tells the half-close of a busy server from a leak.
func TestWhatStreamsIsNotQuiet(t *testing.T) {
	leaktest.RequireRoot(t)
	e := serve(t)
	p := startForeign(t, nil, "python3", "testdata/python/halfclose.py")
	halfClose(t, "127.0.0.1", p.port)
	const old, quiet = 2.0, 0.5 // seconds; it streams 20 times a second
	e.await(func(m metrics) (bool, string) {
		age := m.sum("closewait_process_oldest_socket_age_seconds", of(p.pid)...)
		return age >= old, fmt.Sprintf("the socket of process %d is %v s old", p.pid, age)
	})
	sockets := list(t, "--collector.min-age=0s").socketsOf(p.pid)
	if len(sockets) != 1 {
		t.Fatalf("sockets of process %d: %+v, want one", p.pid, sockets)
	}
	if q := sockets[0].QuietSeconds; q != nil && *q > quiet {
		t.Errorf("a socket that streams is said to be quiet for %v s", *q)
	}
}
