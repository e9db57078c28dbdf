package report

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"closewait_exporter/closewait"
)

// someClosed is a host whose scanner knows two closed sockets and would not see others.
func someClosed() *host {
	h := newHost()
	h.Complete = closewait.NewStateSet(closewait.CloseWait)
	one := h.process(closewait.Process{ID: closewait.ProcessID{PID: 7}, Comm: "leak", FDsKnown: true, OpenFDs: 64, MaxFDs: 1024})
	two := h.process(closewait.Process{ID: closewait.ProcessID{PID: 8}, Comm: "other", FDsKnown: true, OpenFDs: 64, MaxFDs: 1024})
	outbound := closewait.Facts{Direction: closewait.Outbound}
	h.sockets(1, closewait.SocketSample{Facts: outbound, Holders: []closewait.ProcessID{two}}, "10.0.0.5:50000", "10.0.8.8:443", time.Hour)
	h.sockets(2, closewait.SocketSample{Facts: closewait.Facts{State: closewait.Closed}, Holders: []closewait.ProcessID{one}}, "10.0.0.5:50000", "10.0.8.8:443", time.Hour)
	return h
}

// onlyClosed is a host where no socket is in CLOSE_WAIT any more and all descriptors are still
// open.
func onlyClosed() *host {
	h := newHost()
	one := h.process(closewait.Process{ID: closewait.ProcessID{PID: 7}, Comm: "parent", FDsKnown: true, OpenFDs: 64, MaxFDs: 1024})
	two := h.process(closewait.Process{ID: closewait.ProcessID{PID: 8}, Comm: "child", FDsKnown: true, OpenFDs: 64, MaxFDs: 1024})
	reset := closewait.Facts{State: closewait.Closed, Direction: closewait.Inbound}
	h.sockets(3, closewait.SocketSample{Facts: reset, Holders: []closewait.ProcessID{one, two}}, "10.0.0.5:80", "10.0.8.8:40000", time.Hour)
	return h
}

// noneClosed is a host that is known to have no closed sockets.
func noneClosed() *host {
	h := newHost()
	id := h.process(closewait.Process{ID: closewait.ProcessID{PID: 7}, Comm: "leak", FDsKnown: true, OpenFDs: 64, MaxFDs: 1024})
	outbound := closewait.Facts{Direction: closewait.Outbound}
	h.sockets(2, closewait.SocketSample{Facts: outbound, Holders: []closewait.ProcessID{id}}, "10.0.0.5:50000", "10.0.8.8:443", time.Hour)
	return h
}

func TestWhatIsNotSeenIsNotCalledAbsent(t *testing.T) {
	all := closewait.NewStateSet(allStates...)
	some := closewait.NewStateSet(closewait.CloseWait, closewait.FinWait2)
	tests := []struct {
		name      string
		complete  closewait.StateSet
		fresh     int // closed sockets too young to be listed
		want, not string
	}{
		{"all are seen and none is there", all, 0, "No ended connections are held: no leaks on this host.", "does not see"},
		{"those that are there cannot be seen", some, 0, "no known leaks on this host", "no leaks on this host"},
		{"a scanner that sees only some says so", some, 0,
			"The netlink scanner does not see sockets that were never connected, or closed sockets that it has not seen in another state before.", "of them"},
		{"all are seen and too young", all, 2, "No known leaks: of 2 ended connections none is known to be 1s old.", "no leaks on this host"},
		{"some are seen and too young", some, 2, "At least 2 of them are closed: over on both sides", "no leaks on"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			h := newHost()
			h.Complete = test.complete
			id := h.process(closewait.Process{ID: closewait.ProcessID{PID: 7}, Comm: "leak"})
			h.sockets(test.fresh, closewait.SocketSample{Facts: closewait.Facts{State: closewait.Closed}, Holders: []closewait.ProcessID{id}},
				"10.0.0.5:50000", "10.0.8.8:443", 0)
			got := processes(t, newReport(closewait.NewTracker(nil).Update(&h.Snapshot), time.Second))
			if !strings.Contains(got, test.want) || strings.Contains(got, test.not) {
				t.Errorf("want %q, and not %q, in\n%s", test.want, test.not, got)
			}
		})
	}
}

// processes is the table of processes.
func processes(t *testing.T, r *Report) string {
	t.Helper()
	var out bytes.Buffer
	if err := r.Processes(&out, 0); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// TestTheOutageOfAGoServer is a server whose keepalive probes have found that most of its leaked
// connections are over: the leak is the sum of both states.
func TestTheOutageOfAGoServer(t *testing.T) {
	h := newHost()
	id := h.process(closewait.Process{ID: closewait.ProcessID{PID: 7}, Comm: "server", FDsKnown: true, OpenFDs: 1024, MaxFDs: 1024})
	inbound := closewait.Facts{Direction: closewait.Inbound}
	h.sockets(75, closewait.SocketSample{Facts: inbound, Holders: []closewait.ProcessID{id}}, "10.0.0.5:80", "10.1.2.3:40000", 75*time.Second)
	inbound.State = closewait.Closed
	h.sockets(515, closewait.SocketSample{Facts: inbound, Holders: []closewait.ProcessID{id}}, "10.0.0.5:80", "10.1.2.3:41000", 11*time.Minute)
	got := strings.Fields(strings.Split(processes(t, h.report(time.Second)), "\n")[1])
	if diff := cmp.Diff([]string{"server", "7", "server", "590", "515"}, got[:5]); diff != "" {
		t.Errorf("group, pid, comm, sockets, closed: -want +got:\n%s", diff)
	}
}

func TestOtherSocketsAreShownAsFarAsTheyAreKnown(t *testing.T) {
	both := closewait.NewStateSet(closewait.FinWait2, closewait.Unconnected)
	tests := []struct {
		name                  string
		complete              closewait.StateSet
		finWait2, unconnected int
		want                  string
	}{
		{"none", both, 0, 0, "0"},
		{"none that the scanner sees", 0, 0, 0, "-"},
		{"one state is not seen", closewait.NewStateSet(closewait.FinWait2), 0, 0, "-"},
		{"one state is seen", closewait.NewStateSet(closewait.FinWait2), 7, 0, "7 fin_wait2"},
		{"both", both, 7, 20, "27: 7 fin_wait2, 20 unconnected"},
		{"lower bounds", 0, 7, 20, ">=27: >=7 fin_wait2, >=20 unconnected"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			h := newHost()
			h.Complete = test.complete
			id := h.process(closewait.Process{ID: closewait.ProcessID{PID: 7}, Comm: "x"})
			h.sockets(test.finWait2, closewait.SocketSample{Facts: closewait.Facts{State: closewait.FinWait2}, Holders: []closewait.ProcessID{id}}, "10.0.0.5:1", "10.0.8.8:443", time.Hour)
			h.unconnected(test.unconnected, id)
			h.sockets(1, closewait.SocketSample{Holders: []closewait.ProcessID{id}}, "10.0.0.5:1", "10.0.8.8:443", time.Hour)
			r := h.report(time.Second)
			if got := r.Row(r.Listed[0]).Other; got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestAProcessWithTheTwinsOfItsEndedConnectionsIsSaidToBeAProxy(t *testing.T) {
	h := newHost()
	h.proxy()
	r := h.report(time.Second)
	const want = "haproxy 500 holds 7 in CLOSE_WAIT and 7 in FIN_WAIT2: probably a proxy"
	var sockets bytes.Buffer
	if err := r.Sockets(&sockets, 0); err != nil {
		t.Fatal(err)
	}
	for what, got := range map[string]string{"processes": processes(t, r), "sockets": sockets.String()} {
		if !strings.Contains(got, want) {
			t.Errorf("%s: %q is not in\n%s", what, want, got)
		}
	}
	if twins := strings.Count(sockets.String(), "FIN_WAIT2   process"); twins != 7 {
		t.Errorf("%d sockets in FIN_WAIT2 are listed, want 7:\n%s", twins, sockets.String())
	}
}

func TestSocketsWithSeveralHoldersAreCountedOnceOnTheHost(t *testing.T) {
	if got := onlyClosed().report(time.Second).hostStates()[closewait.Closed]; got != 3 {
		t.Errorf("%d closed sockets, want 3", got)
	}
	want := stateCounts{closewait.CloseWait: 27, closewait.Closed: 6, closewait.FinWait2: 10, closewait.Unconnected: 14}
	r := leaking().report(time.Second)
	if diff := cmp.Diff(want, r.hostStates()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if total := want[closewait.CloseWait] + want[closewait.Closed]; total != r.View.Sockets.Total() {
		t.Errorf("%d ended connections by state, %d by owner", total, r.View.Sockets.Total())
	}
}
