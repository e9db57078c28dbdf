package main

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"closewait_exporter/internal/leaktest"
	"closewait_exporter/internal/leaktest/truth"
)

// socketFacts are what both the program and ss report of a socket.
type socketFacts struct {
	Local, Remote netip.AddrPort
	RecvQ         uint32
	Inode, Cookie uint64
	Holders       []int
}

func reportedBy(l *leaktest.Leak) []socketFacts {
	var all []socketFacts
	for _, s := range l.Sockets {
		if s.Kind == truth.Closed || s.Kind == truth.FinWait2 || s.Kind == truth.Unconnected {
			continue
		}
		holders := slices.Clone(s.Holders)
		slices.Sort(holders)
		all = append(all, socketFacts{s.Local, s.Remote, s.RecvQ, s.Inode, s.Cookie, holders})
	}
	return sorted(all)
}

func listedBy(rows []leaktest.Row) []socketFacts {
	var all []socketFacts
	for _, r := range rows {
		var holders []int
		for _, user := range r.Users {
			holders = append(holders, user.PID)
		}
		slices.Sort(holders)
		if r.Inode == 0 {
			r.Cookie = 0 // unknown to the program
		}
		all = append(all, socketFacts{r.Local, r.Remote, r.RecvQ, r.Inode, r.Cookie, holders})
	}
	return sorted(all)
}

func sorted(all []socketFacts) []socketFacts {
	slices.SortFunc(all, func(a, b socketFacts) int { return a.Remote.Compare(b.Remote) })
	return all
}

// requireAgreement fails when ss lists other sockets in CLOSE_WAIT than the program reports.
func requireAgreement(t *testing.T, l *leaktest.Leak) []leaktest.Row {
	t.Helper()
	rows := l.SS()
	if diff := cmp.Diff(reportedBy(l), listedBy(rows), cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
		t.Errorf("leak reports (-), ss lists (+):\n%s", diff)
	}
	return rows
}

func numbersOf(st truth.State) map[string]int {
	return map[string]int{"leaked": st.Leaked, "unaccepted": st.Unaccepted, "closed": st.Closed, "established": st.Established,
		"fin_wait2": st.FinWait2, "unconnected": st.Unconnected}
}

func TestServerLeaksWhatTheFlagsAskFor(t *testing.T) {
	local := func(is func(netip.AddrPort) bool) func(leaktest.Row) bool {
		return func(r leaktest.Row) bool { return is(r.Local) }
	}
	recvQ := func(n uint32) func(leaktest.Row) bool {
		return func(r leaktest.Row) bool { return r.RecvQ == n }
	}
	holders := func(n int) func(leaktest.Row) bool {
		return func(r leaktest.Row) bool { return len(r.Users) == n }
	}
	tests := []struct {
		name  string
		flags string
		want  map[string]int            // of the numbers reported; 0 where left out
		each  func(leaktest.Row) bool   // true for every row
		all   func([]leaktest.Row) bool // true for all rows together
	}{
		{name: "nothing at all", flags: ""},
		{name: "IPv4", flags: "--sockets=3", want: map[string]int{"leaked": 3},
			each: local(func(a netip.AddrPort) bool { return a.Addr().Is4() })},
		{name: "IPv6", flags: "--sockets=3 --listen=[::1]:0", want: map[string]int{"leaked": 3},
			each: local(func(a netip.AddrPort) bool { return a.Addr() == netip.IPv6Loopback() })},
		{name: "v4-mapped on a dual-stack listener", flags: "--sockets=3 --listen=[::]:0 --connect=127.0.0.1", want: map[string]int{"leaked": 3},
			each: local(func(a netip.AddrPort) bool { return a.Addr().Is4In6() })},
		{name: "IPv6 on a dual-stack listener", flags: "--sockets=3 --listen=[::]:0", want: map[string]int{"leaked": 3},
			each: local(func(a netip.AddrPort) bool { return a.Addr() == netip.IPv6Loopback() })},
		{name: "several listeners in turn", flags: "--sockets=4 --listen=127.0.0.1:0 --listen=[::1]:0", want: map[string]int{"leaked": 4},
			all: distinct(func(r leaktest.Row) netip.Addr { return r.Local.Addr() }, 2)},
		{name: "end of file read", flags: "--sockets=2 --unread=none", want: map[string]int{"leaked": 2}, each: recvQ(0)},
		{name: "only the FIN unread", flags: "--sockets=2 --unread=fin", want: map[string]int{"leaked": 2}, each: recvQ(1)},
		{name: "as much payload as a client may send unread", flags: "--sockets=2 --unread=32768", want: map[string]int{"leaked": 2}, each: recvQ(32769)},
		{name: "all classes of unread in turn", flags: "--sockets=6 --unread=none --unread=fin --unread=7", want: map[string]int{"leaked": 6},
			all: distinct(func(r leaktest.Row) uint32 { return r.RecvQ }, 3)},
		{name: "unaccepted on a specific listener", flags: "--unaccepted=3 --unread=none --unread=5", want: map[string]int{"unaccepted": 3}, each: holders(0)},
		{name: "unaccepted on a wildcard listener", flags: "--unaccepted=3 --listen=0.0.0.0:0", want: map[string]int{"unaccepted": 3}, each: holders(0)},
		{name: "unaccepted and v4-mapped", flags: "--unaccepted=3 --listen=[::]:0 --connect=127.0.0.1", want: map[string]int{"unaccepted": 3},
			each: local(func(a netip.AddrPort) bool { return a.Addr().Is4In6() })},
		{name: "unaccepted on several listeners of one port", flags: "--unaccepted=8 --reuseport=3", want: map[string]int{"unaccepted": 8}, each: holders(0)},
		{name: "accepted on several listeners of one port", flags: "--sockets=8 --reuseport=3", want: map[string]int{"leaked": 8}, each: holders(1)},
		{name: "outbound", flags: "--outbound=3 --unread=none --unread=fin --unread=9", want: map[string]int{"leaked": 3}, each: holders(1)},
		{name: "outbound in both families", flags: "--outbound=2 --listen=127.0.0.1:0 --listen=[::1]:0", want: map[string]int{"leaked": 2},
			all: distinct(func(r leaktest.Row) netip.Addr { return r.Remote.Addr() }, 2)},
		{name: "shared with children", flags: "--sockets=3 --children=2", want: map[string]int{"leaked": 3}, each: holders(3)},
		{name: "passed to a child", flags: "--sockets=3 --pass", want: map[string]int{"leaked": 3}, each: holders(1)},
		{name: "shared with a child and passed to another", flags: "--sockets=300 --children=1 --pass", want: map[string]int{"leaked": 300}, each: holders(2)},
		{name: "in flight, held by no process", flags: "--sockets=300 --in-flight", want: map[string]int{"leaked": 300}, each: holders(0)},
		{name: "keepalive on", flags: "--sockets=2 --outbound=1 --keepalive", want: map[string]int{"leaked": 3},
			each: func(r leaktest.Row) bool { return r.Timer == "keepalive" }},
		{name: "keepalive off", flags: "--sockets=2 --outbound=1", want: map[string]int{"leaked": 3},
			each: func(r leaktest.Row) bool { return r.Timer == "" }},
		{name: "many client addresses", flags: "--sockets=12 --peers=4", want: map[string]int{"leaked": 12},
			all: distinct(func(r leaktest.Row) netip.Addr { return r.Remote.Addr() }, 4)},
		{name: "streams", flags: "--stream=2", want: map[string]int{"leaked": 2}, each: recvQ(0)},
		{name: "slow readers", flags: "--slow-readers=2", want: map[string]int{"leaked": 2}, each: recvQ(0)},
		{name: "shut down, and the other ends leaked", flags: "--fin-wait2=2", want: map[string]int{"fin_wait2": 2, "leaked": 2}, each: holders(1)},
		{name: "refused and never connected", flags: "--refused=3 --bare=2", want: map[string]int{"unconnected": 5}},
		{name: "refused and never connected, IPv6", flags: "--refused=3 --bare=2 --listen=[::1]:0", want: map[string]int{"unconnected": 5}},
		{name: "everything at once",
			flags: "--established=2 --stream=1 --closed=2 --outbound=1 --sockets=3 --unaccepted=2 --fin-wait2=1 --refused=1 --bare=1",
			want:  map[string]int{"established": 2, "closed": 2, "leaked": 6, "unaccepted": 2, "fin_wait2": 1, "unconnected": 2}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := leaktest.Where{NetNS: true}.Start(t, strings.Fields(tt.flags)...)
			want := map[string]int{"leaked": 0, "unaccepted": 0, "closed": 0, "established": 0, "fin_wait2": 0, "unconnected": 0}
			maps.Copy(want, tt.want)
			if diff := cmp.Diff(want, numbersOf(l.State)); diff != "" {
				t.Errorf("numbers (-want +reported):\n%s", diff)
			}
			rows := requireAgreement(t, l)
			for _, row := range rows {
				if tt.each != nil && !tt.each(row) {
					t.Errorf("not as asked for: %+v", row)
				}
			}
			if tt.all != nil && !tt.all(rows) {
				t.Errorf("not as asked for: %+v", rows)
			}
		})
	}
}

// distinct reports whether the rows have the wanted number of different values.
func distinct[T comparable](of func(leaktest.Row) T, want int) func([]leaktest.Row) bool {
	return func(rows []leaktest.Row) bool {
		values := map[T]bool{}
		for _, row := range rows {
			values[of(row)] = true
		}
		return len(values) == want
	}
}

func TestListenersAreReported(t *testing.T) {
	l := leaktest.Where{NetNS: true}.Start(t, "--listen=127.0.0.1:0", "--listen=[::]:0", "--unaccepted=1", "--outbound=1")
	reported := slices.Concat(l.Listeners, l.IdleListeners, l.Backends)
	if len(reported) != 6 {
		t.Errorf("reported: %v, want two of each kind", reported)
	}
	listed := map[netip.AddrPort]bool{}
	for _, row := range l.SS("listening") {
		listed[row.Local] = true
	}
	for _, addr := range reported {
		if !listed[addr] {
			t.Errorf("ss does not list the listener %v: %v", addr, listed)
		}
	}
}

func TestEstablishedConnectionsAreTwoSockets(t *testing.T) {
	l := leaktest.Where{NetNS: true}.Start(t, "--established=5")
	if rows := l.SS("established"); len(rows) != 10 {
		t.Errorf("ss sees %d established sockets, want 10: %+v", len(rows), rows)
	}
}

func TestClosedSocketsAreHeldAndInNoTable(t *testing.T) {
	l := leaktest.Where{NetNS: true}.Start(t, "--closed=2")
	if rows := l.SS("all"); len(rows) != 1 {
		t.Errorf("ss sees %+v, want the listener alone", rows)
	}
	held := leaktest.Descriptors(t, l.PID, leaktest.OfProcess)
	for _, s := range l.Sockets {
		if held[s.Inode] == nil {
			t.Errorf("no descriptor of inode %d in %v", s.Inode, held)
		}
	}
}

func TestSocketsThatWereShutDownAreHeldInFinWait2(t *testing.T) {
	l := leaktest.Where{NetNS: true}.Start(t, "--fin-wait2=3", "--sockets=2")
	var want, got []uint64
	for _, s := range l.Sockets {
		if s.Kind == truth.FinWait2 {
			want = append(want, s.Inode)
		}
	}
	for _, row := range l.SS("fin-wait-2") {
		if row.HeldBy(l.PID) { // not the clients of the others, which were closed
			got = append(got, row.Inode)
		}
	}
	slices.Sort(got)
	if slices.Sort(want); !slices.Equal(got, want) {
		t.Errorf("ss sees %v in FIN_WAIT2, want %v", got, want)
	}
}

func TestMPTCPSocketsAreThoseThatSsSees(t *testing.T) {
	leaktest.RequireMPTCP(t)
	l := leaktest.Where{NetNS: true}.Start(t, "--mptcp", "--sockets=2", "--outbound=1", "--unaccepted=2", "--fin-wait2=1", "--refused=1", "--bare=1", "--closed=1")
	of := func(kinds ...truth.Kind) (cookies []uint64) {
		for _, s := range l.Sockets {
			if slices.Contains(kinds, s.Kind) && s.MPTCP {
				cookies = append(cookies, s.Cookie)
			}
		}
		slices.Sort(cookies)
		return cookies
	}
	for state, want := range map[string][]uint64{"close-wait": of(truth.Inbound, truth.Outbound), "fin-wait-2": of(truth.FinWait2)} {
		leaktest.Eventually(t, time.Minute, func() (bool, string) { // the kernel changes states in a worker
			var got []uint64
			for _, row := range l.SSOfMPTCP(state) {
				if row.Inode > 0 {
					got = append(got, row.Cookie)
				}
			}
			slices.Sort(got)
			return slices.Equal(got, want), fmt.Sprintf("ss sees %v in %s, want %v", got, state, want)
		})
	}
}
