package kernel

import (
	"slices"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel/fdscan"
)

// remnant is what is left of a socket that was in CLOSE_WAIT: a descriptor.
type remnant struct {
	closewait.Facts
	holders []closewait.ProcessID // may be shared with other sockets: not to be changed
	handles []fdscan.Handle       // of each holder
	settled bool                  // state is known
	state   uint8                 // in the tables
}

func (r remnant) isOver() bool { return len(r.holders) == 0 }

// keep takes out the holders that are not good.
func (r *remnant) keep(good func(holder int) bool) {
	kept := 0
	for i := range r.holders {
		if good(i) {
			kept++
		}
	}
	if kept == len(r.holders) {
		return
	}
	var holders []closewait.ProcessID
	var handles []fdscan.Handle
	for i := range r.holders {
		if good(i) {
			holders, handles = append(holders, r.holders[i]), append(handles, r.handles[i])
		}
	}
	r.holders, r.handles = holders, handles
}

// addHolders adds more holders, with their handles, to some of a socket, both ascending by pid. The
// lists of holders are not changed: they may be shared.
func addHolders(holders []closewait.ProcessID, handles []fdscan.Handle, more []closewait.ProcessID, theirs []fdscan.Handle) ([]closewait.ProcessID, []fdscan.Handle) {
	shared := true
	for i, id := range more {
		if slices.Contains(holders, id) {
			continue
		}
		if shared {
			holders, shared = slices.Clone(holders), false
		}
		at, _ := slices.BinarySearchFunc(holders, id, fdscan.ByPID)
		holders, handles = slices.Insert(holders, at, id), slices.Insert(handles, at, theirs[i])
	}
	return holders, handles
}
