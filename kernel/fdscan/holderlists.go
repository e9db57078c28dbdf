package fdscan

import (
	"cmp"
	"encoding/binary"
	"slices"

	"closewait_exporter/closewait"
)

// HolderLists lets sockets with the same holders share one list of them. The zero value is ready to
// use.
type HolderLists struct {
	lists map[string]*[]closewait.ProcessID
	key   []byte
}

// Of returns the list of holders, ascending by pid. holders are their indices in ids, ascending.
func (l *HolderLists) Of(holders []int32, ids []closewait.ProcessID) *[]closewait.ProcessID {
	l.key = l.key[:0]
	for _, holder := range holders {
		l.key = binary.NativeEndian.AppendUint32(l.key, uint32(holder))
	}
	if list := l.lists[string(l.key)]; list != nil {
		return list
	}
	list := make([]closewait.ProcessID, len(holders))
	for i, holder := range holders {
		list[i] = ids[holder]
	}
	slices.SortFunc(list, ByPID)
	if l.lists == nil {
		l.lists = map[string]*[]closewait.ProcessID{}
	}
	l.lists[string(l.key)] = &list
	return &list
}

// ByPID compares processes by pid, for sorting.
func ByPID(a, b closewait.ProcessID) int { return cmp.Compare(a.PID, b.PID) }
