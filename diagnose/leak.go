package diagnose

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"closewait_exporter/closewait"
)

// most reports whether a number is most of the leaked sockets.
func (e *evaluation) most(n int) bool { return n > 0 && 2*n > e.leak.Len() }

// sureIf is the confidence of a verdict about the leak: without exceptions and for long, or not.
func (e *evaluation) sureIf(n int) Confidence {
	if n == e.leak.Len() && e.leak.Oldest(e.Taken) >= old {
		return Sure
	}
	return Likely
}

// halfCloseProxy applies to a process that has passed each end on to the other side of a pair of
// connections, as proxies do.
func halfCloseProxy(e *evaluation) *Verdict {
	ended, told := e.leak.Unread[closewait.UnreadNone], e.shutDown()
	if !e.most(ended) || 2*len(told) < e.leak.Len() {
		return nil
	}
	v := &Verdict{
		Confidence: Likely,
		Summary:    "It is a proxy whose other side does not close: it has passed the end of the connections on.",
		Next:       fmt.Sprintf("ss -tnop state fin-wait-2 | grep pid=%d, # and diagnose the peers", e.Holder.ID.PID),
	}
	v.Evidence = append(e.leakEvidence(), fmt.Sprintf("%s in FIN_WAIT2, about one for each ended socket, to %s.", isAre(len(told), "socket"), mostFrequent(told)))
	return v
}

// halfClose applies to a process whose ended sockets still move data.
func halfClose(e *evaluation) *Verdict {
	if e.moving == 0 || e.leak.Len() > 0 {
		return nil
	}
	return &Verdict{
		Confidence: Likely,
		Summary:    fmt.Sprintf("%s half-closed by the peer, and data still flows: no leak.", isAre(e.moving, "connection")),
		Evidence:   e.threadEvidence(),
		Next:       e.again(),
	}
}

func isAre(n int, thing string) string { return count(n, thing) + " " + is(n) }

// shared applies to a process whose ended sockets other processes hold too.
func shared(e *evaluation) *Verdict {
	if !e.most(e.leak.Shared) {
		return nil
	}
	others := map[int]bool{}
	for _, s := range e.leak.Sockets {
		for _, id := range s.Holders {
			if id != e.Holder.ID {
				others[id.PID] = true
			}
		}
	}
	pids := slices.Sorted(maps.Keys(others))
	return &Verdict{
		Confidence: e.sureIf(e.leak.Shared),
		Summary: fmt.Sprintf("%d of %s are also held by other processes: each of them has to close its copy.",
			e.leak.Shared, count(e.leak.Len(), "ended socket")),
		Evidence: append(append([]string{fmt.Sprintf("Other holders: pid %s.", first(pids, 8))}, e.leakEvidence()...), e.threadEvidence()...),
	}
}

// neverReads applies to a process that does not read from connections whose peer has closed.
func neverReads(e *evaluation) *Verdict {
	data, fin := e.leak.Unread[closewait.UnreadData], e.leak.Unread[closewait.UnreadFIN]
	n := data + fin
	if !e.most(n) || data == 0 && e.outbound() {
		return nil
	}
	v := &Verdict{Confidence: Likely}
	what := "their end"
	if data > 0 {
		what = "what the peers have sent"
	}
	v.Summary = fmt.Sprintf("It does not read %s on %s, and so does not notice that they have ended.", what, count(n, "connection"))
	if e.outbound() {
		v.Summary = fmt.Sprintf("It has left the answers on %s unread, and did not close them.", count(n, "connection"))
	}
	v.Evidence = append(e.leakEvidence(), e.threadEvidence()...)
	return v
}

// neverCloses applies to a process that has read the end of its connections, or whose connections
// are over on both sides.
func neverCloses(e *evaluation) *Verdict {
	none, closed := e.leak.Unread[closewait.UnreadNone], e.leak.States[closewait.Closed]
	switch n := none + closed; {
	case !e.most(n):
		return nil
	case none >= closed:
		return &Verdict{
			Confidence: e.sureIf(n),
			Summary:    fmt.Sprintf("It has read the end of %s and did not call close().", count(n, "connection")),
			Evidence:   append(e.leakEvidence(), e.threadEvidence()...),
		}
	default:
		return &Verdict{
			Confidence: Likely,
			Summary:    fmt.Sprintf("%s over on both sides, reset or timed out, and it did not call close().", isAre(n, "connection")),
			Evidence:   append(e.leakEvidence(), e.threadEvidence()...),
		}
	}
}

// idlePool applies to a client that keeps connections on which it has read everything but the end.
func idlePool(e *evaluation) *Verdict {
	fin := e.leak.Unread[closewait.UnreadFIN]
	if !e.most(fin) {
		return nil
	}
	return &Verdict{
		Confidence: Likely,
		Summary: fmt.Sprintf("It keeps %s in a pool and does not notice that the server has closed them: check idle ones, or evict them earlier.",
			count(fin, "idle connection")),
		Evidence: append(e.leakEvidence(), e.threadEvidence()...),
	}
}

// outbound reports whether the process has opened most of the leaked connections.
func (e *evaluation) outbound() bool {
	n := 0
	for _, service := range e.leak.Services {
		if service.Direction == closewait.Outbound {
			n += service.Sockets
		}
	}
	return e.most(n)
}

// leakEvidence describes the leaked sockets.
func (e *evaluation) leakEvidence() []string {
	n := e.leak.Len()
	if n == 0 {
		return nil
	}
	var parts []string
	for _, class := range closewait.Unreads {
		if k := e.leak.Unread[class]; k > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", k, map[closewait.Unread]string{
				closewait.UnreadNone: "with the end read", closewait.UnreadFIN: "with only the end unread", closewait.UnreadData: "with data unread",
			}[class]))
		}
	}
	if k := e.leak.States[closewait.Closed]; k > 0 {
		parts = append(parts, fmt.Sprintf("%d over on both sides", k))
	}
	top := e.leak.Services[0]
	service := "unknown direction"
	if top.Direction != closewait.UnknownDirection {
		service = fmt.Sprintf("%s port %d", top.Direction, top.Port)
	}
	lines := []string{
		fmt.Sprintf("%s (%s), the oldest for %s, %d of them %s.", count(n, "ended socket"), strings.Join(parts, ", "),
			seconds(e.leak.Oldest(e.Taken)), top.Sockets, service),
		"Peers: " + remotes(&e.leak),
	}
	if top.Direction == closewait.Inbound && e.SocketsKnown && !e.listensOn(top.Port) {
		lines = append(lines, fmt.Sprintf("It holds no listener on port %d: another process has accepted them and handed them over, or the listener is closed.", top.Port))
	}
	return lines
}

// listensOn reports whether the process has a listener on a port.
func (e *evaluation) listensOn(port uint16) bool {
	return slices.ContainsFunc(e.Sockets, func(s Socket) bool { return s.State == Listening && s.Local.Port() == port })
}

// remotes names the most frequent peer of sockets.
func remotes(h *closewait.Holding) string {
	return fmt.Sprintf("%s, most often %s (%d of %d).",
		strings.Replace(count(h.RemoteAddresses, "address"), "addresss", "addresses", 1), h.TopRemote.Addr, h.TopRemote.Sockets, h.Len())
}

// shutDown are the remote ends of the connections whose own side the process has shut down. Where
// its descriptors could not be read, the scan may have found some.
func (e *evaluation) shutDown() (remotes []string) {
	if !e.SocketsKnown {
		for _, s := range e.Holder.Other.Sockets {
			if s.State == closewait.FinWait2 {
				remotes = append(remotes, address(s.Remote))
			}
		}
	}
	for _, s := range e.Sockets {
		if s.State == ShutDown {
			remotes = append(remotes, address(s.Remote))
		}
	}
	return remotes
}

// mostFrequent names the most frequent of several names, and how often it is there.
func mostFrequent(names []string) string {
	counts := map[string]int{}
	for _, name := range names {
		counts[name]++
	}
	top := sortedByCount(counts)[0]
	return fmt.Sprintf("%s (%d of %d)", top, counts[top], len(names))
}
