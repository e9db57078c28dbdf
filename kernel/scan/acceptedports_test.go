package scan

import (
	"net/netip"
	"testing"

	"closewait_exporter/closewait"
)

// acceptedScan is what a scan finds of one process.
type acceptedScan struct {
	listening []uint16
	held      []uint16 // local ports of its connections
	unknown   bool     // the sockets do not show who has opened them
	gone      bool     // the process has ended
	want      []uint16 // service ports of the connections
}

func TestPortsThatPeersChooseAreToldFromPortsOfDrainedServers(t *testing.T) {
	for name, scans := range map[string][]acceptedScan{
		"a drained server":                           {{held: []uint16{80, 80, 80}, want: []uint16{80, 80, 80}}},
		"a drained server with two ports":            {{held: []uint16{80, 443}, want: []uint16{80, 443}}},
		"three ports without a listener":             {{held: []uint16{80, 443, 8080}, want: []uint16{0, 0, 0}}},
		"three ports without a listener, and one":    {{listening: []uint16{9}, held: []uint16{9, 80, 443, 8080}, want: []uint16{9, 0, 0, 0}}},
		"a drained server whose listeners were seen": {{listening: []uint16{1, 2, 3, 4}, held: []uint16{1, 2, 3, 4}, want: []uint16{1, 2, 3, 4}}, {held: []uint16{1, 2, 3, 4}, want: []uint16{1, 2, 3, 4}}, {held: []uint16{1, 4}, want: []uint16{1, 4}}},
		"one port after the other":                   {{held: []uint16{1}, want: []uint16{1}}, {held: []uint16{2}, want: []uint16{2}}, {held: []uint16{3}, want: []uint16{0}}, {}, {held: []uint16{1}, want: []uint16{0}}},
		"a listener that was seen long ago":          {{listening: []uint16{7}, held: []uint16{7}, want: []uint16{7}}, {held: []uint16{1, 2, 3}, want: []uint16{0, 0, 0}}, {held: []uint16{7}, want: []uint16{0}}},
		"another process with the same pid":          {{held: []uint16{1, 2, 3}, want: []uint16{0, 0, 0}}, {gone: true}, {held: []uint16{1, 2}, want: []uint16{1, 2}}},
		"a port of which nothing is known":           {{unknown: true, held: []uint16{1, 2, 3}, want: []uint16{0, 0, 0}}, {held: []uint16{4}, want: []uint16{4}}},
	} {
		t.Run(name, func(t *testing.T) {
			ports := acceptedPorts{reader: &namespaceReader{}}
			for i, c := range scans {
				set := c.set()
				pids := []int{10}
				if c.gone {
					pids = nil
				}
				ports.mark(set, pids, nil)
				for j := range set.sockets {
					if got := set.sockets[j].Port(); got != c.want[j] {
						t.Errorf("scan %d: a connection to port %d has the service port %d, want %d", i+1, c.held[j], got, c.want[j])
					}
				}
			}
		})
	}
}

func (c *acceptedScan) set() *socketSet {
	const ns closewait.NetNS = 1
	set := &socketSet{listeners: &listeners{}}
	set.listeners.reset()
	for _, number := range c.listening {
		set.listeners.add(ns, netip.AddrPortFrom(anyIPv4, number), listener{inode: uint64(number)})
	}
	for i, number := range c.held {
		row := closewait.SocketSample{Holders: []closewait.ProcessID{{PID: 10, Start: 1}}}
		row.ID, row.Local, row.Inode = closewait.CookieID(ns, uint64(i+1)), netip.AddrPortFrom(anyIPv4, number), uint64(i+1)
		if !c.unknown {
			row.Direction = closewait.Inbound
		}
		set.add(row)
	}
	return set
}
