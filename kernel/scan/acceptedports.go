package scan

import (
	"slices"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel/bpf"
	"closewait_exporter/kernel/host"
	"closewait_exporter/kernel/sockdiag"
)

// maxDrainedPorts is the maximum number of ports on which a process is believed to have closed a
// listener that no scan has seen.
const maxDrainedPorts = 2

// acceptedPorts finds the connections whose peers have chosen the local port. The kernel gives them
// to a listener that has another port: one with IP_TRANSPARENT (TPROXY), or one that a BPF program
// selects (sk_lookup, bpf_sk_assign). Nothing listens on their local ports. The same is true of a
// server that has closed its listener, with three differences: a scan may have seen the listener
// while the server held a connection to it, its sockets have not inherited IP_TRANSPARENT and its
// namespace has no sk_lookup, and it has at most maxDrainedPorts ports without a listener.
type acceptedPorts struct {
	reader *namespaceReader
	scans  uint32 // number of scans
	of     map[closewait.ProcessID]*processPorts
}

// processPorts are the local ports of the connections that a process has accepted.
type processPorts struct {
	served     map[port]uint32 // ports on which a listener was seen, with the last scan that saw a connection
	unserved   []port          // other ports, at most one more than maxDrainedPorts
	peerChosen bool            // peers choose the ports that are not served, for as long as the process lives
}

// portQuestion asks whether the peer of a connection may have chosen its local port.
type portQuestion struct {
	ports  *processPorts
	socket *closewait.Facts
}

// mark sets PeerChosePort in all rows of a set, whose directions and holders are known. pids are
// all processes, ascending.
func (a *acceptedPorts) mark(set *socketSet, pids []int, namespaces []host.Namespace) {
	a.scans++
	if a.of == nil {
		a.of = map[closewait.ProcessID]*processPorts{}
	}
	a.ask(a.collect(set), namespaces)
	chosen := false
	for id, ports := range a.of {
		if _, lives := slices.BinarySearch(pids, id.PID); !lives {
			delete(a.of, id)
			continue
		}
		ports.prune(a.scans)
		chosen = chosen || ports.peerChosen
	}
	if !chosen {
		return
	}
	for i := range set.sockets {
		if row := &set.sockets[i]; mayBeAccepted(row) {
			at := localPort(row)
			row.PeerChosePort = slices.ContainsFunc(row.Holders, func(id closewait.ProcessID) bool {
				ports := a.of[id]
				return ports != nil && ports.peerChosen && ports.served[at] == 0
			})
		}
	}
}

// collect adds the ports of a set. It returns a question for each new port without a listener: at
// most maxDrainedPorts+1 in the life of a process.
func (a *acceptedPorts) collect(set *socketSet) (questions []portQuestion) {
	var last closewait.SocketSample // many rows in a row have the same port and holders
	for i := range set.sockets {
		row := &set.sockets[i]
		if !mayBeAccepted(row) || localPort(row) == localPort(&last) && row.Direction == last.Direction && slices.Equal(row.Holders, last.Holders) {
			continue
		}
		last = *row
		at := localPort(row)
		listening := set.listeners.on(at)
		for _, id := range row.Holders {
			ports := a.of[id]
			if ports == nil {
				ports = &processPorts{served: map[port]uint32{}}
				a.of[id] = ports
			}
			if ports.add(at, listening, row.Direction, a.scans) {
				questions = append(questions, portQuestion{ports, &row.Facts})
			}
		}
	}
	return questions
}

// mayBeAccepted reports whether a process may have accepted a connection. The direction of a closed
// one can be known from an earlier scan only.
func mayBeAccepted(row *closewait.SocketSample) bool {
	return row.Accepted() && row.Direction != closewait.Outbound && row.State != closewait.Unconnected
}

func localPort(row *closewait.SocketSample) port {
	return port{row.ID.NetNS, row.Local.Port()}
}

// add adds the port of a connection. It returns true if the process had no connection on the port
// yet, and no listener was seen.
func (p *processPorts) add(at port, listening bool, direction closewait.Direction, scan uint32) (isNew bool) {
	switch {
	case listening || p.served[at] > 0:
		p.served[at] = scan
		return false
	case direction != closewait.Inbound || len(p.unserved) > maxDrainedPorts || slices.Contains(p.unserved, at):
		return false
	}
	p.unserved = append(p.unserved, at)
	p.peerChosen = p.peerChosen || len(p.unserved) > maxDrainedPorts
	return true
}

// prune forgets the listeners on ports on which the process has no connection in this scan.
func (p *processPorts) prune(scan uint32) {
	for at, last := range p.served {
		if last != scan {
			delete(p.served, at)
		}
	}
}

// ask asks the kernel which of the sockets have IP_TRANSPARENT, and which namespaces have
// sk_lookup. Where it cannot be asked, the number of ports decides alone.
func (a *acceptedPorts) ask(questions []portQuestion, namespaces []host.Namespace) {
	in := map[closewait.NetNS][]portQuestion{}
	for _, q := range questions {
		if q.socket.State.Listed() && q.socket.ID.Cookie != 0 && !q.ports.peerChosen {
			in[q.socket.ID.NetNS] = append(in[q.socket.ID.NetNS], q)
		}
	}
	if len(in) == 0 {
		return
	}
	list := slices.DeleteFunc(slices.Clone(namespaces), func(ns host.Namespace) bool { return in[ns.ID] == nil })
	ask := func(ns host.Namespace) error { return askForPorts(in[ns.ID]) }
	cannotAsk := func(host.Namespace) error { return nil }
	a.reader.visit(list, ask, cannotAsk, func(_ host.Namespace, err error) { a.reader.host.Errors.Add(host.StageSockets, err) })
}

// askForPorts asks in the network namespace of the calling thread. That sk_lookup cannot be queried
// is no error: it needs CAP_NET_ADMIN, which a scan does not need otherwise.
func askForPorts(questions []portQuestion) error {
	if found, err := bpf.HasSocketLookup(); err == nil && found {
		for _, q := range questions {
			q.ports.peerChosen = true
		}
		return nil
	}
	conn, err := sockdiag.NewConn()
	if err != nil {
		return err
	}
	defer conn.Close()
	for _, q := range questions {
		transparent, err := conn.Transparent(q.socket)
		if err != nil {
			return err
		}
		q.ports.peerChosen = q.ports.peerChosen || transparent
	}
	return nil
}
