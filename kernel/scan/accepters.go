package scan

import (
	"slices"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel/fdscan"
)

// accepters finds, in one scan, the processes that could accept a connection that waits in an
// accept queue: all holders of all listeners on its address.
type accepters struct {
	listeners *listeners
	holdersOf func(inode uint64) (holders []closewait.ProcessID, valid bool) // of a listener
	found     map[*uint64][]closewait.ProcessID                              // by the first inode in the list of the listeners
}

func newAccepters(l *listeners, holdersOf func(inode uint64) ([]closewait.ProcessID, bool)) *accepters {
	return &accepters{l, holdersOf, map[*uint64][]closewait.ProcessID{}}
}

// of returns the accepters of a socket. It is not valid if the holders of a listener are not.
// Sockets with the same listeners share one list.
func (a *accepters) of(row *closewait.SocketSample) (list []closewait.ProcessID, valid bool) {
	inodes := a.listeners.of(row.ID.NetNS, row.Local)
	if len(inodes) == 0 {
		return nil, true
	}
	if list, known := a.found[&inodes[0]]; known {
		return list, true
	}
	for _, inode := range inodes {
		holders, valid := a.holdersOf(inode)
		if !valid {
			return nil, false
		}
		list = append(list, holders...)
	}
	slices.SortFunc(list, fdscan.ByPID)
	list = slices.Compact(list)
	a.found[&inodes[0]] = list
	return list, true
}
