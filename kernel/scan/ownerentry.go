package scan

import (
	"closewait_exporter/closewait"
	"closewait_exporter/kernel/fdscan"
)

// ownerEntry has what a walk has found out about a socket, and the facts that do not change while
// the socket lives. There is one for each known socket, so it is small.
type ownerEntry struct {
	cookie     uint64                 // differs if another socket has got the inode; 0 for listeners
	holders    *[]closewait.ProcessID // shared with other sockets; nil: no holder was found
	inode      uint32
	first      uint32 // index in ownerTable.handles of the handle of the first holder
	seen       uint32 // number of the last scan that had it in a table; 0 for listeners
	netNS      uint32 // the inode of a namespace has 32 bits
	addrs      uint32 // offset in ownerTable.addrs
	iface, uid uint32
	ipv4       bool
	mptcp      bool
	direction  closewait.Direction // in the last scan that knew it
	owner      closewait.Owner
	state      closewait.State // in the last scan that had it in a table
	vainWalks  uint8           // number of walks that found no holder
}

func (e *ownerEntry) holderList() []closewait.ProcessID {
	if e.holders == nil {
		return nil
	}
	return *e.holders
}

// handlesOf returns the handles of the holders of a socket, in the same order.
func (t *ownerTable) handlesOf(e *ownerEntry) []fdscan.Handle {
	return t.handles[e.first:][:len(e.holderList())]
}

// listedFacts returns the facts that are needed to ask the kernel for a known socket.
func (t *ownerTable) listedFacts(e *ownerEntry) closewait.Facts {
	f := t.closedFacts(e)
	f.State = e.state
	return f
}

// closedFacts returns the facts of a known socket after its connection has ended: nothing is
// queued, no timer runs, and the numbers of bytes are not known.
func (t *ownerTable) closedFacts(e *ownerEntry) closewait.Facts {
	f := closewait.Facts{
		Interface: e.iface, Inode: uint64(e.inode), UID: e.uid, MPTCP: e.mptcp, Direction: e.direction, State: closewait.Closed,
	}
	f.Local, f.Remote = t.addrs.at(e.addrs, e.ipv4)
	f.ID = socketID(closewait.NetNS(e.netNS), e.cookie, &f)
	return f
}
