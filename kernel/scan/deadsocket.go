package scan

import (
	"slices"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel/fdscan"
)

// deadSocketCandidate is a socket that was in a table and is not any more, with the descriptors
// that were known: its connection may be over while a descriptor keeps it open.
type deadSocketCandidate struct {
	closewait.Facts
	holders    []closewait.ProcessID // may be shared with other sockets: not to be changed
	handles    []fdscan.Handle       // of each holder
	stateKnown bool
	state      uint8 // in the tables; host.TCPNone if it is in none
}

func (c deadSocketCandidate) hasNoHolder() bool { return len(c.holders) == 0 }

// keep removes the holders for which keep is false.
func (c *deadSocketCandidate) keep(keep func(holder int) bool) {
	kept := 0
	for i := range c.holders {
		if keep(i) {
			kept++
		}
	}
	if kept == len(c.holders) {
		return
	}
	var holders []closewait.ProcessID
	var handles []fdscan.Handle
	for i := range c.holders {
		if keep(i) {
			holders, handles = append(holders, c.holders[i]), append(handles, c.handles[i])
		}
	}
	c.holders, c.handles = holders, handles
}

// addHolders adds more holders of a socket, with their handles, to those that are known. All
// lists are ascending by pid. The lists of holders may be shared, so they are not changed.
func addHolders(holders []closewait.ProcessID, handles []fdscan.Handle, more []closewait.ProcessID, moreHandles []fdscan.Handle) ([]closewait.ProcessID, []fdscan.Handle) {
	shared := true
	for i, id := range more {
		if slices.Contains(holders, id) {
			continue
		}
		if shared {
			holders, shared = slices.Clone(holders), false
		}
		at, _ := slices.BinarySearchFunc(holders, id, fdscan.ByPID)
		holders, handles = slices.Insert(holders, at, id), slices.Insert(handles, at, moreHandles[i])
	}
	return holders, handles
}
