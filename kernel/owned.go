package kernel

import (
	"closewait_exporter/closewait"
	"closewait_exporter/kernel/fdscan"
)

// owned is what a look has found out about a socket, and what stays the same of it while it lives. There
// is one for each known socket, so it is small.
type owned struct {
	cookie     uint64                 // tells when the inode has become that of another socket; 0 for listeners
	holders    *[]closewait.ProcessID // shared with other sockets; nil where there are none
	inode      uint32
	first      uint32 // index in owners.handles of that of its first holder
	seen       uint32 // the last scan that saw it in CLOSE_WAIT (defuncts.scan); 0 for listeners
	netNS      uint32 // the inode of a namespace has 32 bits
	ends       uint32 // where it begins in owners.ends
	iface, uid uint32
	ipv4       bool
	direction  closewait.Direction // when it was last seen
	owner      closewait.Owner
	looks      uint8 // how often it was looked for in vain
}

func (o *owned) holderList() []closewait.ProcessID {
	if o.holders == nil {
		return nil
	}
	return *o.holders
}

// handlesOf are the handles of the holders of a socket, in the same order.
func (o *owners) handlesOf(known *owned) []fdscan.Handle {
	return o.handles[known.first:][:len(known.holderList())]
}

// listedFacts are what it takes to ask the kernel for a known socket.
func (o *owners) listedFacts(known *owned) closewait.Facts {
	f := o.defunctFacts(known)
	f.Defunct = false
	return f
}

// defunctFacts are those of a known socket when it is defunct: nothing is queued, no timer runs, and what
// was sent is not remembered.
func (o *owners) defunctFacts(known *owned) closewait.Facts {
	f := closewait.Facts{
		Interface: known.iface, Inode: uint64(known.inode), UID: known.uid, Direction: known.direction, Defunct: true,
	}
	f.Local, f.Remote = o.ends.at(known.ends, known.ipv4)
	f.ID = socketID(closewait.NetNS(known.netNS), known.cookie, &f)
	return f
}
