package closewait

import (
	"net/netip"
	"testing"
	"time"
)

// client makes a sample the end of a connection that this host has opened.
func client(local, remote string) func(*SocketSample) {
	return func(s *SocketSample) {
		s.Local, s.Remote = netip.MustParseAddrPort(local), netip.MustParseAddrPort(remote)
		s.Direction = Outbound
	}
}

func TestLocalPortsInUse(t *testing.T) {
	const db, cache = "10.0.0.9:5432", "10.0.0.9:6379"
	for name, c := range map[string]struct {
		scans  [][]SocketSample
		remote string // of alice
		used   int
	}{
		"a process": {[][]SocketSample{{
			row(1, heldBy(alice), client("10.0.0.1:40001", db)), row(2, heldBy(alice), client("10.0.0.1:40002", db)),
		}}, db, 2},
		"the remote end with most sockets": {[][]SocketSample{{
			row(1, heldBy(alice), client("10.0.0.1:40001", cache)), row(2, heldBy(alice), client("10.0.0.1:40002", db)), row(3, heldBy(alice), client("10.0.0.1:40003", db)),
		}}, db, 2},
		"all processes, and none": {[][]SocketSample{{
			row(1, heldBy(alice), client("10.0.0.1:40001", db)), row(2, heldBy(bob), client("10.0.0.1:40002", db)), row(3, client("10.0.0.1:40003", db)),
		}}, db, 3},
		"a socket that two processes hold, once": {[][]SocketSample{{
			row(1, heldBy(alice, bob), client("10.0.0.1:40001", db)),
		}}, db, 1},
		"another local address has ports of its own": {[][]SocketSample{{
			row(1, heldBy(alice), client("10.0.0.1:40001", db)), row(2, heldBy(bob), client("10.0.0.2:40001", db)),
		}}, db, 1},
		"IPv6 sockets share the ports of IPv4": {[][]SocketSample{{
			row(1, heldBy(alice), client("10.0.0.1:40001", db)), row(2, heldBy(bob), client("[::ffff:10.0.0.1]:40002", "[::ffff:10.0.0.9]:5432")),
		}}, db, 2},
		"a half-closed connection": {[][]SocketSample{{
			row(1, heldBy(alice), client("10.0.0.1:40001", db)), row(2, heldBy(bob), client("10.0.0.1:40002", db), halfClosed),
		}}, db, 2},
		"a closed socket has given its port back": {[][]SocketSample{
			{row(1, heldBy(alice), client("10.0.0.1:40001", db)), row(2, heldBy(alice), client("10.0.0.1:40002", db))},
			{row(1, heldBy(alice), client("10.0.0.1:40001", db)), row(2, heldBy(alice), client("10.0.0.1:40002", db), closed)},
		}, db, 1},
		"a socket that is gone": {[][]SocketSample{
			{row(1, heldBy(alice), client("10.0.0.1:40001", db)), row(2, heldBy(bob), client("10.0.0.1:40002", db))},
			{row(1, heldBy(alice), client("10.0.0.1:40001", db))},
			{row(1, heldBy(alice), client("10.0.0.1:40001", db))},
		}, db, 1},
		"a socket that becomes known to be outbound": {[][]SocketSample{
			{row(1, heldBy(alice), client("10.0.0.1:40001", db), direction(UnknownDirection))},
			{row(1, heldBy(alice), client("10.0.0.1:40001", db))},
		}, db, 1},
		"inbound sockets use no port": {[][]SocketSample{{row(1, heldBy(alice), direction(Inbound))}}, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			tracker := NewTracker(nil)
			var v *View
			for i, rows := range c.scans {
				v = tracker.Update(&Snapshot{
					Taken: epoch.Add(time.Duration(i) * time.Minute), Sockets: rows, PIDs: []int{alice.PID, bob.PID},
					Processes: []Process{process(alice), process(bob)}, UsablePorts: map[NetNS]int{testNS: 4},
				})
			}
			for _, h := range v.Holders {
				if h.ID != alice {
					continue
				}
				ratio, known := h.Ports.Ratio()
				if known != (c.remote != "") || known && h.Ports.Remote.String() != c.remote || h.Ports.Used != c.used || ratio != float64(c.used)/4 {
					t.Errorf("%+v, ratio %v (known: %v), want %d to %q", h.Ports, ratio, known, c.used, c.remote)
				}
			}
		})
	}
}

func TestTheRatioOfPortsIsNotKnownWithoutTheRange(t *testing.T) {
	v := NewTracker(nil).Update(&Snapshot{
		Taken: epoch, Sockets: []SocketSample{row(1, heldBy(alice), client("10.0.0.1:40001", "10.0.0.9:5432"))},
		Processes: []Process{process(alice)}, PIDs: []int{alice.PID},
	})
	if ratio, known := v.Holders[0].Ports.Ratio(); known {
		t.Errorf("ratio %v", ratio)
	}
}
