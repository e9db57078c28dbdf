package report

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"closewait_exporter/closewait"
)

func TestServicesOfTheKernelAreNamed(t *testing.T) {
	h := newHost()
	mounted := closewait.SocketSample{Owner: closewait.OwnedByKernel, Facts: closewait.Facts{Direction: closewait.Outbound}}
	served := closewait.SocketSample{Owner: closewait.OwnedByKernel, Facts: closewait.Facts{Direction: closewait.Inbound}}
	h.sockets(3, mounted, "10.0.0.5:700", "10.0.0.9:2049", time.Hour)
	h.sockets(1, served, "10.0.0.5:8080", "10.1.0.9:40000", time.Hour)
	h.sockets(2, closewait.SocketSample{Owner: closewait.OwnerUnresolved, Facts: closewait.Facts{Direction: closewait.Outbound}}, "10.0.0.5:41000", "10.0.0.9:3260", time.Hour)
	const want = "Held by no process: 3 out :2049 (kernel: nfs), 1 in :8080."
	if summary := h.report(time.Second).Summary(); !slices.Contains(summary, want) {
		t.Errorf("no line %q in\n%s", want, strings.Join(summary, "\n"))
	}
}

func TestTheSummarySaysWhereLocalPortsRunOut(t *testing.T) {
	for name, c := range map[string]struct {
		sockets, usable int
		want            string
	}{
		"all are in use": {64, 64, "Local ports from 10.0.0.5 to 10.0.0.9:5432: 64 of 64 (100%) in use by leaked connections, as of process 10. Without a free one connect() fails."},
		"half of them":   {32, 64, "Local ports from 10.0.0.5 to 10.0.0.9:5432: 32 of 64 (50%) in use by leaked connections, as of process 10. Without a free one connect() fails."},
		"few":            {31, 64, ""},
		"of any number":  {64, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost()
			id := h.process(closewait.Process{ID: closewait.ProcessID{PID: 10}, Comm: "client"})
			other := h.process(closewait.Process{ID: closewait.ProcessID{PID: 11}, Comm: "client"})
			h.UsablePorts = map[closewait.NetNS]int{4026531840: c.usable}
			// The second process uses the same ports, which makes no second line.
			h.sockets(c.sockets-1, closewait.SocketSample{Holders: []closewait.ProcessID{id}, Facts: closewait.Facts{Direction: closewait.Outbound}}, "10.0.0.5:40000", "10.0.0.9:5432", time.Hour)
			h.sockets(1, closewait.SocketSample{Holders: []closewait.ProcessID{other}, Facts: closewait.Facts{Direction: closewait.Outbound}}, "10.0.0.5:40000", "10.0.0.9:5432", time.Hour)
			r := h.report(time.Second)
			var got []string
			for _, line := range r.Summary() {
				if strings.HasPrefix(line, "Local ports") {
					got = append(got, line)
				}
			}
			if strings.Join(got, "\n") != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
			if p := newJSONPorts(&r.Listed[0].Ports); (p == nil) != (c.usable == 0) || p != nil && (p.Used != c.sockets || p.Remote != netip.MustParseAddrPort("10.0.0.9:5432").String()) {
				t.Errorf("JSON %+v", p)
			}
		})
	}
}
