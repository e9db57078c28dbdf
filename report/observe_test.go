package report

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"closewait_exporter/closewait"
)

// procfsHost is a host as a scanner without cookies and times sees it.
func procfsHost() *host {
	h := newHost()
	id := h.process(closewait.Process{ID: closewait.ProcessID{PID: 7}, Comm: "leak"})
	h.sockets(3, closewait.SocketSample{Holders: []closewait.ProcessID{id}}, "10.0.0.5:50000", "10.0.8.8:443", 0)
	for i := range h.Sockets {
		s := &h.Sockets[i]
		s.ID, s.HasTimes = closewait.TupleID(4026531840, s.Local, s.Remote, s.Inode), false
	}
	return h
}

// deadHost is a host with a closed socket, whose age no scanner knows.
func deadHost() *host {
	h := newHost()
	id := h.process(closewait.Process{ID: closewait.ProcessID{PID: 7}, Comm: "leak"})
	h.sockets(1, closewait.SocketSample{Facts: closewait.Facts{State: closewait.Closed}, Holders: []closewait.ProcessID{id}}, "10.0.0.5:50000", "10.0.8.8:443", time.Hour)
	return h
}

// keepaliveHost is a host whose sockets answer to keepalive probes, the last time at that time ago.
func keepaliveHost(ago time.Duration) *host {
	h := newHost()
	id := h.process(closewait.Process{ID: closewait.ProcessID{PID: 7}, Comm: "server"})
	probed := closewait.Facts{Direction: closewait.Inbound, Timer: closewait.TimerKeepalive}
	h.sockets(1, closewait.SocketSample{Facts: probed, Holders: []closewait.ProcessID{id}}, "10.0.0.5:80", "10.1.2.3:40000", ago)
	return h
}

func TestScansTwiceWhereAgesAreUnknownAfterTheFirstScan(t *testing.T) {
	tests := []struct {
		name   string
		host   *host
		minAge time.Duration
		scans  int
		oldest string
	}{
		{"ages are known", noneClosed(), time.Second, 1, "1h00m"},
		{"ages are unknown", procfsHost(), 2 * time.Second, 2, ">=2s"},
		{"a closed socket has no age", deadHost(), 2 * time.Second, 2, ">=2s"},
		{"a lower bound says enough", keepaliveHost(14 * time.Second), 2 * time.Second, 1, ">=14s"},
		{"a lower bound below the minimum does not", keepaliveHost(time.Second), 2 * time.Second, 2, ">=3s"},
		{"unknown ages do not matter", procfsHost(), 0, 1, "?"},
		{"no person waits that long", procfsHost(), time.Hour, 1, "?"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tracker, scans, started := closewait.NewTracker(nil), 0, time.Now()
				view, err := Observe(t.Context(), func(context.Context) (*closewait.View, error) {
					scans++
					test.host.Taken = now.Add(time.Since(started))
					return tracker.Update(&test.host.Snapshot), nil
				}, test.minAge)
				if err != nil || scans != test.scans {
					t.Fatalf("%d scans and error %v, want %d scans", scans, err, test.scans)
				}
				if got := Age(socketsOf(view.Holders[0])[0], view.Taken); got != test.oldest {
					t.Errorf("the oldest socket is shown as %s old, want %s", got, test.oldest)
				}
			})
		})
	}
}

func TestObserveEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		h := procfsHost()
		_, err := Observe(ctx, func(context.Context) (*closewait.View, error) {
			return closewait.NewTracker(nil).Update(&h.Snapshot), nil
		}, maxWait)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error is %v, want the error of the context", err)
		}
	})
}

func TestObserveReturnsErrors(t *testing.T) {
	broken := errors.New("broken")
	_, err := Observe(t.Context(), func(context.Context) (*closewait.View, error) { return nil, broken }, time.Second)
	if !errors.Is(err, broken) {
		t.Errorf("error is %v, want %v", err, broken)
	}
}
