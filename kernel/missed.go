package kernel

import (
	"slices"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel/host"
)

// missedSockets are sockets in CLOSE_WAIT that dumps may have missed. Only those are kept here that
// the scanner does not remember elsewhere.
type missedSockets struct {
	absent []closewait.Facts // not listed by the last scan; the next one asks for each
	listed []closewait.Facts // listed by the last scan, and held by no process
}

// confirmMissed returns the sockets that two scans in a row did not list and that the kernel
// still has in CLOSE_WAIT. left are those that the last scan listed and this one does not, as far
// as they are known; unheld selects the sockets of this scan that would not be in left of the
// next. Sockets are asked for in the given namespaces. Those of namespaces that could not be read
// wait for a later scan.
func (s *Scanner) confirmMissed(left []closewait.Facts, unheld func(*closewait.SocketSample) bool, in []host.Namespace, unread []closewait.NetNS) (confirmed []closewait.SocketID) {
	m := &s.missed
	m.absent, m.listed = s.notListed(m.absent), s.notListed(m.listed)
	still := s.confirm(m.absent, in)
	next := slices.DeleteFunc(m.absent, func(f closewait.Facts) bool {
		return !still[f.ID] && !slices.Contains(unread, f.ID.NetNS)
	})
	for id, there := range still {
		if there {
			confirmed = append(confirmed, id)
		}
	}
	for _, more := range [][]closewait.Facts{m.listed, left} {
		next = append(next, more[:min(len(more), max(mostConfirmed-len(next), 0))]...)
	}
	m.absent, m.listed = slices.Clip(next), nil
	for i := range s.sockets {
		if row := &s.sockets[i]; row.ID.Cookie != 0 && !row.Defunct && unheld(row) {
			m.listed = append(m.listed, row.Facts)
		}
	}
	return confirmed
}

// notListed returns those of the sockets that this scan has not listed.
func (s *Scanner) notListed(sockets []closewait.Facts) []closewait.Facts {
	if len(sockets) == 0 {
		return nil
	}
	listed := make(map[closewait.SocketID]bool, len(sockets))
	for i := range sockets {
		listed[sockets[i].ID] = false
	}
	for i := range s.sockets {
		if _, wanted := listed[s.sockets[i].ID]; wanted {
			listed[s.sockets[i].ID] = true
		}
	}
	return slices.DeleteFunc(sockets, func(f closewait.Facts) bool { return listed[f.ID] })
}

func isUnaccepted(row *closewait.SocketSample) bool { return !row.Accepted() }

func hasNoHolder(row *closewait.SocketSample) bool { return row.Owner != closewait.OwnedByProcess }
