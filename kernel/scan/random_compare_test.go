package scan_test

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/go-cmp/cmp"

	"closewait_exporter/closewait"
	"closewait_exporter/internal/leaktest"
	"closewait_exporter/kernel/scan"
)

// sample is a socket as a scanner or ss reports it, without what depends on the time.
type sample struct {
	State                 string
	MPTCP                 bool
	NetNS                 closewait.NetNS
	Local, Remote         string
	Inode, Cookie         uint64
	UID, Interface        uint32
	RecvQ, SendQ          uint32
	Timer                 string
	Sent, Acked, Received uint64
	Direction, Owner      string
	Holders               []closewait.ProcessID
}

// scanned is the result of one scan, by namespace, addresses and inode.
type scanned struct {
	taken  time.Time
	took   time.Duration
	alive  map[string]sample // in a table
	closed map[string]sample
	others map[string]sample    // unconnected
	since  map[string]time.Time // of the last ACK
}

// scanTwice scans until everything is found that takes more than one scan.
func (s *comparison) scanTwice(scanner *trackedScanner) scanned {
	s.t.Helper()
	scan.RefreshNow(scanner.Scanner)
	if _, err := scanner.Scan(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	scan.RefreshNow(scanner.Scanner)
	started := time.Now()
	snapshot, err := scanner.Scan(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	seen := scanned{snapshot.Taken, snapshot.Taken.Sub(started), map[string]sample{}, map[string]sample{}, map[string]sample{}, map[string]time.Time{}}
	for i := range snapshot.Sockets {
		row := &snapshot.Sockets[i]
		key := fmt.Sprintf("%d %v %v %d", row.ID.NetNS, row.Local, row.Remote, row.Inode)
		list := seen.alive
		switch row.State {
		case closewait.Closed:
			list = seen.closed
		case closewait.Unconnected:
			list = seen.others
		}
		if _, twice := list[key]; twice {
			s.t.Errorf("%s: %s twice", scanner.kind.name, key)
		}
		list[key] = sample{
			row.State.String(), row.MPTCP, row.ID.NetNS, row.Local.String(), row.Remote.String(), row.Inode, row.ID.Cookie, row.UID, row.Interface,
			row.RecvQueue, row.SendQueue, row.Timer.String(), row.BytesSent, row.BytesAcked, row.BytesReceived,
			row.Direction.String(), row.Owner.String(), slices.Clone(row.Holders),
		}
		if row.HasTimes {
			seen.since[key] = snapshot.Taken.Add(-row.SinceLastAck)
		}
	}
	if scanErrors := scanErrorsOf(scanner.host); len(scanErrors) > 0 {
		s.t.Errorf("%s: scan errors %v", scanner.kind.name, scanErrors)
	}
	return seen
}

// compare scans with all scanners, and with netlink before and after the others: they must agree
// on everything that has not changed in between.
func (s *comparison) compare() {
	s.t.Helper()
	for try := 0; ; try++ {
		before, ebpf, procfs := s.scanTwice(s.netlink), s.scanTwice(s.ebpf), s.scanTwice(s.procfs)
		held := readAllSockets(s.t)
		rows := s.ss(held)
		after := s.scanTwice(s.netlink)
		if cmp.Equal(before.alive, after.alive) {
			s.requireSame("ebpf", mapSamples(before.alive, unlessMultipath), mapSamples(ebpf.alive, unlessMultipath))
			s.requireSame("procfs", mapSamples(s.withoutMultipath(held, before.alive), tableFields), mapSamples(s.withoutMultipath(held, procfs.alive), tableFields))
			s.requireSame("ss", mapSamples(before.alive, ssFields), mapSamples(rows, ssFields))
			s.ages(before, after, ebpf)
			s.holders(ebpf, held)
			s.closed(ebpf.closed, held)
			s.unconnected(ebpf.others, held)
			s.follows(s.netlink, before, held)
			s.follows(s.procfs, procfs, held)
			s.countKinds(ebpf)
			return
		}
		if try == 0 {
			s.repeated++
		}
		if try > 100 {
			s.t.Fatalf("it never stands still:\n%s", cmp.Diff(before.alive, after.alive))
		}
	}
}

func (s *comparison) requireSame(who string, want, got map[string]sample) {
	s.t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		s.t.Errorf("sockets (-netlink +%s):\n%s", who, diff)
	}
}

// withoutMultipath removes the sockets of MPTCP, and their paths that have fallen back to TCP.
func (s *comparison) withoutMultipath(held map[uint64]*heldSocket, rows map[string]sample) map[string]sample {
	rows = maps.Clone(rows)
	maps.DeleteFunc(rows, func(_ string, row sample) bool { return row.MPTCP || s.isMultipath(held, row.Inode) })
	return rows
}

// isMultipath reports whether a socket that has been accepted is one of MPTCP. No descriptor shows
// it of a socket that is in flight.
func (s *comparison) isMultipath(held map[uint64]*heldSocket, inode uint64) bool {
	h := held[inode]
	return h != nil && h.multipath || s.byInode[inode].Multipath
}

// unlessMultipath removes what only BPF knows of an MPTCP socket.
func unlessMultipath(row sample) sample {
	if row.MPTCP {
		row.RecvQ, row.Timer, row.Direction = 0, "", ""
	}
	return row
}

// tableFields keeps the fields that /proc/PID/net/tcp shows.
func tableFields(row sample) sample {
	row.Cookie, row.Interface, row.Sent, row.Acked, row.Received, row.Direction = 0, 0, 0, 0, 0, ""
	return row
}

// ssFields keeps the fields that leaktest reads from ss.
func ssFields(row sample) sample {
	row.Interface, row.Acked, row.Received = 0, 0, 0
	row.Direction, row.Owner, row.Holders = "", "", nil
	if row.MPTCP { // ss shows memory as the queues, and no bytes
		row.RecvQ, row.SendQ, row.Timer, row.Sent = 0, 0, "", 0
	}
	return row
}

func mapSamples(rows map[string]sample, what func(sample) sample) map[string]sample {
	left := make(map[string]sample, len(rows))
	for key, row := range rows {
		left[key] = what(row)
	}
	return left
}

// ss runs ss in each namespace. It leaves out the sockets in FIN_WAIT2 that no process holds.
func (s *comparison) ss(held map[uint64]*heldSocket) map[string]sample {
	s.t.Helper()
	timers := map[string]string{
		"": closewait.TimerNone.String(), "on": closewait.TimerRetransmit.String(),
		"keepalive": closewait.TimerKeepalive.String(), "persist": closewait.TimerProbe.String(),
	}
	rows := map[string]sample{}
	read := map[closewait.NetNS]bool{}
	for _, actor := range s.actors {
		ns := netNSOf(s.t, actor.process.Pid)
		if read[ns] {
			continue
		}
		read[ns] = true
		for name, state := range map[string]closewait.State{"close-wait": closewait.CloseWait, "fin-wait-2": closewait.FinWait2} {
			list := leaktest.SS(s.t, actor.process.Pid, name)
			all := len(list)
			for i, r := range append(list, leaktest.SSOfMPTCP(s.t, actor.process.Pid, name)...) {
				mptcp := i >= all
				isPath := r.Inode != 0 && s.isMultipath(held, r.Inode) != mptcp
				if isPath || state == closewait.FinWait2 && held[r.Inode] == nil {
					continue
				}
				key := fmt.Sprintf("%d %v %v %d", ns, r.Local, r.Remote, r.Inode)
				rows[key] = sample{State: state.String(), MPTCP: mptcp, NetNS: ns, Local: r.Local.String(), Remote: r.Remote.String(), Inode: r.Inode, Cookie: r.Cookie,
					UID: r.UID, RecvQ: r.RecvQ, SendQ: r.SendQ, Timer: timers[r.Timer], Sent: r.BytesSent}
			}
		}
	}
	return rows
}

// ages compares the times of the last ACK with each other, except where something was
// acknowledged during the scans, and with the earliest time at which the FIN can have been sent.
// The kernel's count of ticks can lag behind its clock by one more tick in a virtual machine.
func (s *comparison) ages(netlink, after, ebpf scanned) {
	s.t.Helper()
	const tick = 10 * time.Millisecond // the longest that there is
	exact := tick + max(netlink.took, after.took, ebpf.took)
	for key, since := range ebpf.since {
		row := ebpf.alive[key]
		theirs := netlink.since[key]
		if !row.MPTCP && after.since[key].Sub(theirs) < exact && since.Sub(theirs).Abs() > exact {
			s.t.Errorf("%s: last ACK %v by ebpf and %v by netlink", key, since, theirs)
		}
		truth, known := s.truth[connectionKey{row.NetNS, row.Local + " " + row.Remote}]
		switch {
		case !known || truth.Left == nil:
			s.t.Errorf("%+v is in CLOSE_WAIT, and its other end has not been closed: %+v", row, truth)
		case since.Before(truth.Left.Add(-tick)):
			s.t.Errorf("%+v: last ACK at %v by ebpf, before the FIN at %v", row, since, truth.Left)
		case !theirs.IsZero() && theirs.Before(truth.Left.Add(-tick)):
			s.t.Errorf("%+v: last ACK at %v by netlink, before the FIN at %v", row, theirs, truth.Left)
		}
	}
}

// holders compares with the descriptors of all processes.
func (s *comparison) holders(seen scanned, held map[uint64]*heldSocket) {
	s.t.Helper()
	for _, row := range seen.alive {
		if row.Inode == 0 {
			continue
		}
		var want []int
		if h := held[row.Inode]; h != nil {
			want = h.holders
		}
		if got := pidsOf(row.Holders); !slices.Equal(got, want) {
			s.t.Errorf("%+v: held by %v, want %v", row, got, want)
		}
	}
}

// countKinds counts the kinds of sockets that were compared.
func (s *comparison) countKinds(seen scanned) {
	for _, row := range seen.alive {
		s.seen[row.Owner]++
		s.seen["timer "+row.Timer]++
		s.seen[row.State]++
		if row.MPTCP {
			s.seen["MPTCP, "+row.State]++
		}
		if len(row.Holders) > 1 {
			s.seen["shared"]++
		}
	}
	s.seen["closed"] += len(seen.closed)
	s.seen["unconnected"] += len(seen.others)
}
