package scan_test

import (
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"

	"closewait_exporter/closewait"
	"closewait_exporter/internal/leaktest"
	"closewait_exporter/internal/leaktest/truth"
	"closewait_exporter/kernel/scan"
)

// socketLine is a socket as a scanner, ss and the program that leaks it can all describe it.
type socketLine struct {
	Local, Remote string
	Inode, Cookie uint64 // 0 while unaccepted, and the cookie where a scanner knows none
	RecvQ         uint32
}

func (v view) line(local, remote netip.AddrPort, inode, cookie uint64, recvQ uint32) socketLine {
	if !v.kind.cookies || inode == 0 {
		cookie = 0
	}
	return socketLine{local.String(), remote.String(), inode, cookie, recvQ}
}

// agrees checks that the sockets of a leaking program and its children are exactly the sockets
// that it reports, and that ss reports them too.
func (v view) agrees(l *leaktest.Leak) {
	v.t.Helper()
	v.agreesWithTruth(l)
	inside := l.PID
	if netNSOf(v.t, l.PID) == netNSOf(v.t, os.Getpid()) {
		inside = 0
	}
	rows := leaktest.SS(v.t, inside)
	for _, pid := range append(l.Children, l.PID) {
		var want []socketLine
		for _, r := range rows {
			if r.HeldBy(pid) {
				want = append(want, v.line(r.Local, r.Remote, r.Inode, r.Cookie, r.RecvQ))
			}
		}
		v.holds(pid, "ss", want)
	}
}

// agreesWithTruth does not compare with ss, which does not show everything that a program can do.
func (v view) agreesWithTruth(l *leaktest.Leak) {
	v.t.Helper()
	for _, pid := range append(l.Children, l.PID) {
		var want []socketLine
		for _, s := range l.Sockets {
			if slices.Contains(s.Holders, pid) && s.Kind != truth.Closed {
				want = append(want, v.line(s.Local, s.Remote, s.Inode, s.Cookie, s.RecvQ))
			}
		}
		v.holds(pid, "leak", want)
		v.holdsClosed(pid, l)
	}
	v.agreesOnEach(l)
}

// holds compares the sockets that a process holds with another source.
func (v view) holds(pid int, source string, want []socketLine) {
	v.t.Helper()
	var got []socketLine
	if h := v.find(pid); h != nil {
		for _, s := range inState(closewait.CloseWait, h) {
			got = append(got, v.line(s.Local, s.Remote, s.Inode, s.ID.Cookie, s.RecvQueue))
		}
	}
	v.same(fmt.Sprintf("sockets of process %d (-%s +seen)", pid, source), got, want)
}

// holdsClosed compares the closed sockets of a process that were in CLOSE_WAIT. Other closed
// sockets are known only to a scanner that reads every descriptor.
func (v view) holdsClosed(pid int, l *leaktest.Leak) {
	v.t.Helper()
	var got, want []socketLine
	if h := v.find(pid); h != nil {
		for _, s := range inState(closewait.Closed, h) {
			got = append(got, v.line(s.Local, s.Remote, s.Inode, s.ID.Cookie, 0)) // the queue is of no interest
		}
	}
	for _, s := range l.Sockets {
		if s.Kind == truth.Closed && (s.Was != "" || v.Complete.Has(closewait.Closed)) && slices.Contains(s.Holders, pid) {
			want = append(want, v.line(s.Local, s.Remote, s.Inode, s.Cookie, 0))
		}
	}
	v.same(fmt.Sprintf("closed sockets of process %d (-leak +seen)", pid), got, want)
}

func (v view) same(what string, got, want []socketLine) {
	v.t.Helper()
	byEnds := func(a, b socketLine) int { return strings.Compare(a.Local+a.Remote, b.Local+b.Remote) }
	slices.SortFunc(got, byEnds)
	slices.SortFunc(want, byEnds)
	if diff := cmp.Diff(want, got); diff != "" {
		v.t.Errorf("%s:\n%s", what, diff)
	}
}

// agreesOnEach compares what only the program knows: the holders of a socket, and the side that
// opened the connection.
func (v view) agreesOnEach(l *leaktest.Leak) {
	v.t.Helper()
	ns := netNSOf(v.t, l.PID)
	for _, want := range l.Sockets {
		if want.Kind == truth.Closed {
			continue
		}
		got := v.socket(ns, want.Local, want.Remote)
		if holders := pidsOf(got.Holders); want.Kind != truth.Unaccepted && !slices.Equal(holders, slices.Sorted(slices.Values(want.Holders))) {
			v.t.Errorf("%v to %v: held by %v, want %v", want.Local, want.Remote, holders, want.Holders)
		}
		direction, service := closewait.Inbound, want.Local.Port()
		if want.Kind == truth.Outbound {
			direction, service = closewait.Outbound, want.Remote.Port()
			if v.kind.name == scan.ScannerProcFS { // the tables do not show it
				direction, service = closewait.UnknownDirection, 0
			}
		}
		if got.Direction != direction || got.Port() != service {
			v.t.Errorf("%v to %v: %v, service port %d, want %v, %d", want.Local, want.Remote, got.Direction, got.Port(), direction, service)
		}
	}
}

func pidsOf(ids []closewait.ProcessID) []int {
	var pids []int
	for _, id := range ids {
		pids = append(pids, id.PID)
	}
	return pids
}
