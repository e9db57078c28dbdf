package scan

import (
	"slices"

	"golang.org/x/sys/unix"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel/host"
	"closewait_exporter/kernel/sockdiag"
)

// maxConfirmed is the maximum number of sockets that a scan asks for one by one. A dump misses only
// a few; where more are missing, a process has ended and nearly all of them have left CLOSE_WAIT.
const maxConfirmed = 10_000

// missedSockets are sockets in CLOSE_WAIT that dumps may have missed. A dump reads a hash table
// that changes meanwhile, and can miss the same socket twice; a request for one socket cannot.
// Only sockets that the scanner does not remember elsewhere are kept here.
type missedSockets struct {
	host   *host.Host
	absent []closewait.Facts // not listed by the last scan; the next one asks for each
	listed []closewait.Facts // listed by the last scan, and held by no process
}

// confirm returns the sockets that two scans in a row have not listed and that the kernel still
// has in CLOSE_WAIT. left are the sockets that the last scan listed and this one did not, as far as
// the scanner remembers them; unheld selects the sockets of this scan that the scanner does not
// remember. Sockets of namespaces that could not be read wait for a later scan.
func (m *missedSockets) confirm(set *socketSet, left []closewait.Facts, unheld func(*closewait.SocketSample) bool, unread []closewait.NetNS) (confirmed []closewait.SocketID) {
	m.absent, m.listed = notListed(m.absent, set.sockets), notListed(m.listed, set.sockets)
	still := m.ask(m.absent, set.reached)
	next := slices.DeleteFunc(m.absent, func(f closewait.Facts) bool {
		return !still[f.ID] && !slices.Contains(unread, f.ID.NetNS)
	})
	for id, there := range still {
		if there {
			confirmed = append(confirmed, id)
		}
	}
	for _, more := range [][]closewait.Facts{m.listed, left} {
		next = append(next, more[:min(len(more), max(maxConfirmed-len(next), 0))]...)
	}
	m.absent, m.listed = slices.Clip(next), nil
	for i := range set.sockets {
		if row := &set.sockets[i]; row.ID.Cookie != 0 && row.State.Listed() && unheld(row) {
			m.listed = append(m.listed, row.Facts)
		}
	}
	return confirmed
}

// notListed returns the sockets of a list that a scan has not listed.
func notListed(sockets []closewait.Facts, scanned []closewait.SocketSample) []closewait.Facts {
	if len(sockets) == 0 {
		return nil
	}
	listed := make(map[closewait.SocketID]bool, len(sockets))
	for i := range sockets {
		listed[sockets[i].ID] = false
	}
	for i := range scanned {
		if _, wanted := listed[scanned[i].ID]; wanted {
			listed[scanned[i].ID] = true
		}
	}
	return slices.DeleteFunc(sockets, func(f closewait.Facts) bool { return listed[f.ID] })
}

func isUnaccepted(row *closewait.SocketSample) bool { return !row.Accepted() }

func hasNoHolder(row *closewait.SocketSample) bool { return row.Owner != closewait.OwnedByProcess }

// ask reports which sockets are still in CLOSE_WAIT, as far as it can ask for them in the given
// namespaces.
func (m *missedSockets) ask(sockets []closewait.Facts, namespaces []host.Namespace) map[closewait.SocketID]bool {
	still := map[closewait.SocketID]bool{}
	in := map[closewait.NetNS][]*closewait.Facts{}
	for i := range sockets[:min(len(sockets), maxConfirmed)] {
		if f := &sockets[i]; f.ID.Cookie != 0 { // without a cookie it is from a table of /proc
			in[f.ID.NetNS] = append(in[f.ID.NetNS], f)
		}
	}
	ask := func(ns host.Namespace, err error) {
		if err == nil {
			err = askHere(in[ns.ID], still)
		}
		m.host.Errors.Add(host.StageSockets, err)
		if err != nil && !host.Vanished(err) {
			assumeStill(in[ns.ID], still)
		}
	}
	var others []host.Namespace
	for _, ns := range namespaces {
		switch {
		case in[ns.ID] == nil:
		case ns.Own:
			ask(ns, nil)
		default:
			others = append(others, ns)
		}
	}
	if m.host.Capable(unix.CAP_SYS_ADMIN) {
		m.host.InNamespaces(others, ask)
	}
	return still
}

// assumeStill assumes that sockets are still in CLOSE_WAIT, because asking for them has failed.
// The next scan asks for them again.
func assumeStill(sockets []*closewait.Facts, still map[closewait.SocketID]bool) {
	for _, socket := range sockets {
		if _, asked := still[socket.ID]; !asked {
			still[socket.ID] = true
		}
	}
}

// askHere asks for sockets in the network namespace of the calling thread.
func askHere(sockets []*closewait.Facts, still map[closewait.SocketID]bool) error {
	conn, err := sockdiag.NewConn()
	if err != nil {
		return err
	}
	defer conn.Close()
	for _, socket := range sockets {
		state, err := conn.State(socket)
		if err != nil {
			return err
		}
		still[socket.ID] = state == host.TCPState(socket.State)
	}
	return nil
}
