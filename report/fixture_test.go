package report

import (
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"closewait_exporter/closewait"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// now is the time of all fixtures.
var now = time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC)

// host builds a Snapshot.
type host struct {
	closewait.Snapshot
	cookies uint64
}

func newHost() *host {
	return &host{Snapshot: closewait.Snapshot{Taken: now, NetNS: []closewait.NetNS{4026531840}, Complete: closewait.NewStateSet(allStates...)}}
}

// process adds a process with the given fields, and fills in the rest.
func (h *host) process(p closewait.Process) closewait.ProcessID {
	p.ID.Start = 1000
	p.StartTime = now.Add(-5 * day)
	p.State = 'S'
	p.NetNS = 4026531840
	h.Processes = append(h.Processes, p)
	h.PIDs = append(h.PIDs, p.ID.PID)
	slices.Sort(h.PIDs)
	return p.ID
}

// sockets adds n sockets with different ports. The first is the oldest, and each of the others is
// one second younger than the one before.
func (h *host) sockets(n int, like closewait.SocketSample, local, remote string, age time.Duration) {
	for range n {
		h.cookies++
		s := like
		s.Local = netip.MustParseAddrPort(local)
		s.Remote = netip.MustParseAddrPort(remote)
		if s.Direction == closewait.Inbound {
			s.Remote = netip.AddrPortFrom(s.Remote.Addr(), s.Remote.Port()+uint16(h.cookies))
		} else if s.State != closewait.Unconnected {
			s.Local = netip.AddrPortFrom(s.Local.Addr(), s.Local.Port()+uint16(h.cookies))
		}
		if s.Owner != closewait.OwnedByListener {
			s.Inode = 70000 + h.cookies
		}
		s.ID = closewait.CookieID(4026531840, 0x1000+h.cookies)
		s.HasTimes, s.SinceLastAck, s.SinceLastData = true, age, age+2*time.Second
		h.Sockets = append(h.Sockets, s)
		age -= time.Second
	}
}

// proxy adds a process that has passed on the ends of seven connections.
func (h *host) proxy() {
	id := h.process(closewait.Process{ID: closewait.ProcessID{PID: 500}, Comm: "haproxy", Unit: "haproxy.service", FDsKnown: true, OpenFDs: 40, MaxFDs: 1024})
	ended := closewait.Facts{State: closewait.CloseWait, Direction: closewait.Outbound}
	h.sockets(7, closewait.SocketSample{Facts: ended, Holders: []closewait.ProcessID{id}}, "10.0.0.5:52000", "10.0.9.1:443", 20*time.Minute)
	told := closewait.Facts{State: closewait.FinWait2, Direction: closewait.Inbound}
	h.sockets(7, closewait.SocketSample{Facts: told, Holders: []closewait.ProcessID{id}}, "10.0.0.5:443", "10.1.2.9:40000", 20*time.Minute)
}

// unconnected adds n sockets that were never connected.
func (h *host) unconnected(n int, holder closewait.ProcessID) {
	h.sockets(n, closewait.SocketSample{Facts: closewait.Facts{State: closewait.Unconnected}, Holders: []closewait.ProcessID{holder}}, "0.0.0.0:0", "0.0.0.0:0", time.Hour)
}

// minuteAgo is the host before any of its sockets became closed, including sockets of unknown
// owners.
func (h *host) minuteAgo() *closewait.Snapshot {
	before := h.Snapshot
	before.Taken, before.Sockets = now.Add(-time.Minute), nil
	before.NetNS = nil // not read, so that sockets of the next scan can be older than a minute
	for _, s := range h.Sockets {
		if s.State == closewait.Closed || s.Owner == closewait.OwnerUnresolved {
			s.State = closewait.CloseWait
			s.SinceLastAck -= time.Minute
			before.Sockets = append(before.Sockets, s)
		}
	}
	return &before
}

// report is the Report about the host.
func (h *host) report(minAge time.Duration) *Report {
	tracker := closewait.NewTracker(nil)
	tracker.Update(h.minuteAgo())
	view := tracker.Update(&h.Snapshot)
	view.Took = 3200 * time.Microsecond
	return newReport(view, minAge)
}

func newReport(view *closewait.View, minAge time.Duration) *Report {
	return &Report{
		View: view, Listed: closewait.Listed(view, minAge), MinAge: minAge,
		Visibility: closewait.Visibility{Scanner: "netlink", Namespaces: "all", Root: true},
	}
}

// golden compares with a file in testdata.
func golden(t *testing.T, file string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", file)
	if *update {
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("differs from %s (-want +got), which go test -update rewrites:\n%s", path, diff)
	}
}

// leaking is a host with almost everything that can be shown.
func leaking() *host {
	h := newHost()
	tomcat := h.process(closewait.Process{
		ID: closewait.ProcessID{PID: 4211}, Comm: "java", Exe: "/usr/lib/jvm/bin/java", UID: 991, User: "tomcat", Unit: "tomcat9.service",
		FDsKnown: true, OpenFDs: 1310, MaxFDs: 4096,
	})
	worker := h.process(closewait.Process{
		ID: closewait.ProcessID{PID: 318224}, Comm: "gunicorn: worke", Exe: "/usr/bin/python3.13", User: "root",
		Container: "f00dcafe0123456789abcdef", Pod: "6ad2a9f1-0000-4000-8000-000000000001", FDsKnown: true, OpenFDs: 64, MaxFDs: closewait.UnlimitedFDs,
	})
	frozen := h.process(closewait.Process{
		ID: closewait.ProcessID{PID: 77}, Comm: "acceptor", UID: 5, User: "daemon", MaxFDs: 1024,
	})
	young := h.process(closewait.Process{ID: closewait.ProcessID{PID: 9}, Comm: "nginx", Unit: "nginx.service"})
	poller := h.process(closewait.Process{ID: closewait.ProcessID{PID: 12}, Comm: "poller", User: "daemon", FDsKnown: true, OpenFDs: 20, MaxFDs: 1024})

	inbound := closewait.Facts{Direction: closewait.Inbound, RecvQueue: 40001, Timer: closewait.TimerKeepalive, UID: 991}
	held := closewait.SocketSample{Facts: inbound, Holders: []closewait.ProcessID{tomcat}}
	h.sockets(8, held, "10.0.0.5:8080", "10.1.2.3:40000", 76*time.Hour)
	held.RecvQueue = 1
	h.sockets(2, held, "[2001:db8::5]:8443", "[2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff]:40000", 2*time.Hour+5*time.Minute)
	shared := closewait.SocketSample{Facts: closewait.Facts{Direction: closewait.Outbound, SendQueue: 512, Timer: closewait.TimerProbe}, Holders: []closewait.ProcessID{worker, tomcat}}
	h.sockets(1, shared, "10.0.0.5:50000", "10.0.7.7:5432", 3*time.Minute+12*time.Second)
	outbound := closewait.Facts{Direction: closewait.Outbound}
	h.sockets(2, closewait.SocketSample{Facts: outbound, Holders: []closewait.ProcessID{worker}}, "10.0.0.5:50000", "10.0.7.7:5432", 45*time.Second)
	waiting := closewait.SocketSample{Facts: inbound, Owner: closewait.OwnedByListener, Holders: []closewait.ProcessID{frozen}}
	h.sockets(3, waiting, "127.0.0.1:9000", "127.0.0.1:33000", 10*time.Minute)
	h.sockets(1, closewait.SocketSample{Facts: inbound, Holders: []closewait.ProcessID{young}}, "10.0.0.5:80", "10.1.2.3:44444", 200*time.Millisecond)
	reset := closewait.Facts{State: closewait.Closed, Direction: closewait.Inbound, UID: 991}
	h.sockets(4, closewait.SocketSample{Facts: reset, Holders: []closewait.ProcessID{tomcat}}, "10.0.0.5:8080", "10.1.2.3:40000", 80*time.Hour)
	reset = closewait.Facts{State: closewait.Closed, RecvQueue: 12} // of unknown direction
	h.sockets(2, closewait.SocketSample{Facts: reset, Holders: []closewait.ProcessID{poller}}, "10.0.0.5:50000", "10.0.9.9:6379", 30*time.Minute)
	h.proxy()
	client := h.process(closewait.Process{ID: closewait.ProcessID{PID: 600}, Comm: "client", User: "daemon", FDsKnown: true, OpenFDs: 20, MaxFDs: 1024})
	h.unconnected(12, client)
	half := closewait.Facts{State: closewait.FinWait2, Direction: closewait.Outbound}
	h.sockets(3, closewait.SocketSample{Facts: half, Holders: []closewait.ProcessID{client}}, "10.0.0.5:51000", "10.0.9.9:6379", time.Hour)
	h.unconnected(2, h.process(closewait.Process{ID: closewait.ProcessID{PID: 700}, Comm: "agent", FDsKnown: true, OpenFDs: 20, MaxFDs: 1024}))
	h.sockets(2, closewait.SocketSample{Facts: outbound, Owner: closewait.OwnedByKernel}, "[::ffff:10.0.0.5]:50000", "[::ffff:10.0.8.8]:443", time.Hour)
	h.sockets(1, closewait.SocketSample{Owner: closewait.OwnerUnresolved, Facts: closewait.Facts{Direction: closewait.Outbound, UID: 33}}, "10.0.0.5:50000", "10.0.8.8:443", time.Hour)
	return h
}

// unprivileged is a host where no process can be read.
func unprivileged() *host {
	h := newHost()
	h.Denied, h.Complete = 77, closewait.NewStateSet(closewait.CloseWait)
	h.sockets(30, closewait.SocketSample{Owner: closewait.OwnerUnresolved, Facts: closewait.Facts{Direction: closewait.Outbound}}, "10.0.0.5:50000", "10.0.7.7:5432", time.Hour)
	h.sockets(1, closewait.SocketSample{Owner: closewait.OwnedByListener, Facts: closewait.Facts{Direction: closewait.Inbound}},
		"10.0.0.5:80", "10.1.2.3:40000", time.Hour)
	return h
}

// hostile is a host whose processes have names that a terminal would interpret.
func hostile() *host {
	h := newHost()
	names := []string{
		"\x1b]0;pwn\x07", "a\nroot 1 init", "\u202egpj.exe", "half\xe2\x82", ") Z 1", `back\slash`, " ",
		"\u009b31m", "zero\u200bwidth", "e\u0301\u0301", "\u3164", "日本語サーバー", "שלום", "",
	}
	for i, comm := range names {
		id := h.process(closewait.Process{ID: closewait.ProcessID{PID: 100 + i}, Comm: comm, Unit: fmt.Sprintf("%s.service", comm)})
		h.sockets(20-i, closewait.SocketSample{Facts: closewait.Facts{Direction: closewait.Inbound}, Holders: []closewait.ProcessID{id}},
			"10.0.0.5:80", "10.1.2.3:40000", time.Hour)
		h.sockets(i, closewait.SocketSample{Facts: closewait.Facts{State: closewait.Closed}, Holders: []closewait.ProcessID{id}},
			"10.0.0.5:50000", "10.1.2.3:443", time.Hour)
	}
	h.Complete = closewait.NewStateSet(closewait.CloseWait)
	return h
}
