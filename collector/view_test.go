package collector

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"closewait_exporter/closewait"
)

var (
	taken       = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	ageBuckets  = []float64{1, 10, 60, 300, 900, 3600, 21600, 86400}
	tomcatMain  = closewait.ProcessID{PID: 1234, Start: 5000}
	tomcatChild = closewait.ProcessID{PID: 1240, Start: 5100}
)

// leaked is a socket with the given age, held by the given processes.
func leaked(cookie uint64, local, remote string, age time.Duration, recvQueue uint32, holders ...closewait.ProcessID) *closewait.Socket {
	return &closewait.Socket{
		Facts: closewait.Facts{
			ID:        closewait.CookieID(4026531840, cookie),
			Local:     netip.MustParseAddrPort(local),
			Remote:    netip.MustParseAddrPort(remote),
			Inode:     1000 + cookie,
			RecvQueue: recvQueue,
			Direction: closewait.Inbound,
		},
		Holders:    holders,
		Since:      taken.Add(-age),
		QuietSince: taken.Add(-age),
	}
}

// outbound makes a leaked socket outbound.
func outbound(s *closewait.Socket) *closewait.Socket {
	s.Direction = closewait.Outbound
	return s
}

// unknown makes it unknown who has opened the connection of a leaked socket.
func unknown(s *closewait.Socket) *closewait.Socket {
	s.Direction = closewait.UnknownDirection
	return s
}

// in puts a socket into a state.
func in(state closewait.State, s *closewait.Socket) *closewait.Socket {
	s.State = state
	return s
}

func holding(sockets ...*closewait.Socket) closewait.Holding { return closewait.NewHolding(sockets) }

var everyState = closewait.NewStateSet(slices.Concat(closewait.EndedStates, closewait.OtherStates)...)

// richView has an example of everything that is exported, worst first as in every View.
func richView() *closewait.View {
	return &closewait.View{
		Taken:      taken,
		Took:       12500 * time.Microsecond,
		Sockets:    closewait.HostSockets{{7, 2, 1, 1}, {5, 0, 0, 3}},
		Namespaces: 2,
		Complete:   everyState,
		Durations: closewait.Histogram{
			Bounds: []float64{1, 60, 3600}, Counts: []uint64{40, 45, 46}, Count: 47, Sum: 9000.5,
		},
		Holders: []*closewait.Holder{tomcat(), python(), tomcatFork(), hostile(), young(), oneMore()},
	}
}

var passedOn = leaked(5, "10.0.0.1:8080", "10.9.0.7:40005", 30*time.Second, 0, tomcatMain, tomcatChild)

func tomcat() *closewait.Holder {
	keepalive := leaked(2, "10.0.0.1:8080", "10.9.0.7:40002", 2*time.Hour, 1, tomcatMain)
	keepalive.Timer = closewait.TimerKeepalive
	streaming := leaked(16, "10.0.0.1:8080", "10.9.0.6:40016", 7*time.Minute, 0, tomcatMain)
	unsent := leaked(4, "10.0.0.1:8081", "10.9.1.1:40004", 500*time.Millisecond, 0, tomcatMain)
	unsent.SendQueue = 700
	streaming.QuietSince = taken.Add(-2 * time.Second)
	return &closewait.Holder{
		Process: closewait.Process{
			ID: tomcatMain, StartTime: time.Unix(1763000000, 250e6), Comm: "java",
			Exe:  "/opt/vendor/platform/releases/2026.11.2/runtime/jdk-21.0.5+11/lib/server/bin/java",
			User: "tomcat", Unit: "tomcat.service", NetNS: 4026531840, FDsKnown: true, OpenFDs: 812, MaxFDs: 4096,
			Queues: closewait.AcceptQueues{Fullest: closewait.AcceptQueue{Length: 75, Backlog: 100, Known: true}},
		},
		Ports: closewait.PortUse{Local: netip.MustParseAddr("10.0.0.1"), Remote: netip.MustParseAddrPort("10.0.7.7:6379"), Used: 7058, Usable: 28232},
		Ended: holding(
			leaked(1, "10.0.0.1:8080", "10.9.0.6:40001", 3*24*time.Hour, 0, tomcatMain),
			keepalive,
			leaked(3, "10.0.0.1:8080", "10.9.0.7:40003", 5*time.Minute, 101, tomcatMain),
			streaming,
			unsent,
			passedOn,
			outbound(leaked(6, "127.0.0.1:50006", "127.0.0.1:5432", time.Minute, 0, tomcatMain)),
			outbound(leaked(7, "10.0.0.1:50007", "10.0.7.7:6379", time.Minute, 0, tomcatMain)),
			unknown(leaked(12, "10.0.0.1:50012", "10.0.7.8:6379", time.Minute, 0, tomcatMain)),
			in(closewait.Closed, leaked(10, "10.0.0.1:8080", "10.9.0.6:40010", 2*24*time.Hour, 0, tomcatMain)),
			in(closewait.Closed, leaked(11, "10.0.0.1:8080", "10.9.0.6:40011", 6*time.Minute, 0, tomcatMain)),
		),
		Unaccepted: holding(
			leaked(8, "10.0.0.1:8080", "10.9.0.8:40008", 40*time.Second, 12, tomcatMain),
			leaked(9, "10.0.0.1:8080", "10.9.0.8:40009", 41*time.Second, 1, tomcatMain),
		),
		Other: holding(
			in(closewait.FinWait2, outbound(leaked(13, "10.0.0.1:50013", "10.0.7.7:6379", time.Hour, 0, tomcatMain))),
			in(closewait.Unconnected, unknown(leaked(14, "0.0.0.0:0", "0.0.0.0:0", time.Hour, 0, tomcatMain))),
			in(closewait.Unconnected, unknown(leaked(15, "0.0.0.0:0", "0.0.0.0:0", time.Hour, 0, tomcatMain))),
		),
		Entered: 60, Left: 51,
	}
}

func python() *closewait.Holder {
	id := closewait.ProcessID{PID: 77, Start: 9}
	return &closewait.Holder{
		Process: closewait.Process{
			ID: id, StartTime: time.Unix(1763000100, 0), Comm: "gunicorn", Exe: "/usr/bin/python3.11", User: "1000",
			Container: "4c01db0b339c5f1e2a7d8e9f00112233445566778899aabbccddeeff00112233",
			Pod:       "6a2f4f5e-0000-4000-8000-1234567890ab", NetNS: 4026532500,
			FDsKnown: true, OpenFDs: 40, MaxFDs: closewait.UnlimitedFDs,
		},
		Ended: holding(
			leaked(20, "[2001:db8::1]:8000", "[2001:db8:1::5]:1", 90*time.Second, 0, id),
			leaked(21, "[2001:db8::1]:8000", "[2001:db8:1::6]:2", 80*time.Second, 0, id),
			leaked(22, "[::ffff:10.1.0.1]:8000", "[::ffff:10.1.0.1]:3", 70*time.Second, 1, id),
			outbound(leaked(23, "[2001:db8::1]:3000", "[2001:db8:2::1]:443", 60*time.Second, 0, id)),
		),
		Entered: 4,
	}
}

func tomcatFork() *closewait.Holder {
	return &closewait.Holder{
		Process: closewait.Process{
			ID: tomcatChild, StartTime: time.Unix(1763000050, 0), Comm: "java", Exe: "/bin/sh", User: "tomcat",
			Unit: "tomcat.service", NetNS: 4026531840, FDsKnown: true, OpenFDs: 8, MaxFDs: 1024,
		},
		Ended:   holding(passedOn),
		Entered: 1,
	}
}

// hostile holds no sockets: its only ones are in its accept queue.
func hostile() *closewait.Holder {
	id := closewait.ProcessID{PID: 666, Start: 1}
	return &closewait.Holder{
		Process: closewait.Process{
			ID: id, StartTime: time.Unix(1763000200, 0), Comm: "a\"\\\n) Z 1\u202e\xff\xe2", User: "0", NetNS: 4026531840,
		},
		Unaccepted: holding(leaked(30, "0.0.0.0:9", "192.0.2.1:9", 2*time.Second, 1, id)),
		Entered:    1,
	}
}

func young() *closewait.Holder {
	id := closewait.ProcessID{PID: 900, Start: 1}
	return &closewait.Holder{
		Process: closewait.Process{ID: id, Comm: "young"},
		Ended:   holding(leaked(40, "10.0.0.1:80", "192.0.2.2:9", 900*time.Millisecond, 0, id)),
	}
}

func oneMore() *closewait.Holder {
	id := closewait.ProcessID{PID: 901, Start: 1}
	return &closewait.Holder{
		Process: closewait.Process{ID: id, Comm: "onemore"},
		Ended:   holding(leaked(50, "10.0.0.1:81", "192.0.2.3:9", time.Second, 0, id)),
	}
}

// options are the default flags with two smaller limits, so that some of richView is omitted.
func options(view *closewait.View) Options {
	return Options{
		Observe: func(context.Context) (*closewait.View, error) { return view, nil },
		ScanErrors: func() map[closewait.ScanError]uint64 {
			return map[closewait.ScanError]uint64{
				{Stage: "namespace", Reason: "denied"}: 0,
				{Stage: "owners", Reason: "denied"}:    3,
				{Stage: "owners", Reason: "other"}:     0,
			}
		},
		Scanner: "netlink",
		MinAge:  time.Second, MaxProcesses: 4, MaxServices: 2, AgeBuckets: ageBuckets, OldAge: 5 * time.Minute, PIDLabel: true,
	}
}
