package report

import (
	"bytes"
	"strings"
	"testing"
	"time"

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
	all := closewait.NewStateSet(closewait.EndedStates...)
	some := closewait.NewStateSet(closewait.CloseWait)
	tests := []struct {
		name      string
		complete  closewait.StateSet
		fresh     int // closed sockets too young to be listed
		want, not string
	}{
		{"all are seen and none is there", all, 0, "No ended connections are held: no leaks on this host.", "known"},
		{"those that are there cannot be seen", some, 0, "no known leaks on this host", "no leaks on this host"},
		{"a scanner that sees only some says so", some, 0, "The netlink scanner finds only closed sockets that it has seen", "held by"},
		{"all are seen and too young", all, 2, "No known leaks: of 2 ended connections none is known to be 1s old.", "no leaks on this host"},
		{"some are seen and too young", some, 2, "At least 2 closed sockets held by 1 process: connection reset or timed out, descriptor still open.", "finds only"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			h := newHost()
			h.Complete = test.complete
			id := h.process(closewait.Process{ID: closewait.ProcessID{PID: 7}, Comm: "leak"})
			h.sockets(test.fresh, closewait.SocketSample{Facts: closewait.Facts{State: closewait.Closed}, Holders: []closewait.ProcessID{id}},
				"10.0.0.5:50000", "10.0.8.8:443", 0)
			view := closewait.NewTracker(nil).Update(&h.Snapshot)
			var out bytes.Buffer
			if err := newReport(view, time.Second).Processes(&out, 0); err != nil {
				t.Fatal(err)
			}
			if got := out.String(); !strings.Contains(got, test.want) || strings.Contains(got, test.not) {
				t.Errorf("want %q, and not %q, in\n%s", test.want, test.not, got)
			}
		})
	}
}
