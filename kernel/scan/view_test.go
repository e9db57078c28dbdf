package scan_test

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"

	"closewait_exporter/closewait"
)

// view is a View with methods that tests need.
type view struct {
	*closewait.View
	t      testing.TB
	kind   scannerKind
	closed []closewait.SocketSample // in the Snapshot
}

// countsOnce checks that no socket is twice in a list or in two lists that exclude each other,
// and that host totals count each once.
func (v view) countsOnce() {
	v.t.Helper()
	listed := map[closewait.SocketID]bool{}
	check := func(whose string, list []*closewait.Socket, right func(*closewait.Socket) bool) {
		seen := map[closewait.SocketID]bool{}
		for _, s := range list {
			if seen[s.ID] || !right(s) {
				v.t.Errorf("%s: %+v (twice: %v)", whose, s, seen[s.ID])
			}
			seen[s.ID], listed[s.ID] = true, true
		}
	}
	for _, h := range v.Holders {
		whose := h.Comm + " " + strconv.Itoa(h.ID.PID)
		holds := func(s *closewait.Socket) bool { return slices.Contains(s.Holders, h.ID) }
		check(whose+" holds", h.Ended.Sockets, func(s *closewait.Socket) bool {
			return holds(s) && s.Accepted() && s.Owner == closewait.OwnedByProcess && s.State.Ended()
		})
		check(whose+" could accept", h.Unaccepted.Sockets, func(s *closewait.Socket) bool {
			return holds(s) && !s.Accepted() && s.Owner == closewait.OwnedByListener
		})
	}
	for _, s := range v.Ownerless {
		if listed[s.ID] {
			v.t.Errorf("listed with and without a holder: %+v", s)
		}
	}
	check("without a holder", v.Ownerless, func(s *closewait.Socket) bool {
		return len(s.Holders) == 0 && s.Owner != closewait.OwnedByProcess
	})
	// A holder that ended before it could be described is not listed, so there can be more.
	if total := v.Sockets.Total(); total < len(listed) {
		v.t.Errorf("host total %d, and %d sockets are listed", total, len(listed))
	}
}

// find returns the sockets of a process, nil if it has none.
func (v view) find(pid int) *closewait.Holder {
	for _, h := range v.Holders {
		if h.ID.PID == pid {
			return h
		}
	}
	return nil
}

// holder returns the sockets of a process that must have some.
func (v view) holder(pid int) *closewait.Holder {
	v.t.Helper()
	h := v.find(pid)
	if h == nil {
		v.t.Fatalf("process %d has no sockets: %v", pid, v)
	}
	return h
}

// held and unaccepted return numbers of sockets in CLOSE_WAIT of a process, 0 if it has none.
func (v view) held(pid int) int {
	if h := v.find(pid); h != nil {
		return h.Ended.States[closewait.CloseWait]
	}
	return 0
}

func (v view) unaccepted(pid int) int {
	if h := v.find(pid); h != nil {
		n, _ := h.UnacceptedCount()
		return n
	}
	return 0
}

// inState returns the ended sockets of a process in a state.
func inState(state closewait.State, h *closewait.Holder) []*closewait.Socket {
	return slices.DeleteFunc(slices.Clone(h.Ended.Sockets), func(s *closewait.Socket) bool { return s.State != state })
}

// all returns every socket that is listed, once.
func (v view) all() []*closewait.Socket {
	list := slices.Clone(v.Ownerless)
	listed := map[*closewait.Socket]bool{}
	for _, h := range v.Holders {
		for _, s := range slices.Concat(h.Ended.Sockets, h.Unaccepted.Sockets) {
			if !listed[s] {
				listed[s] = true
				list = append(list, s)
			}
		}
	}
	return list
}

// socket returns the socket with these addresses, which must be listed.
func (v view) socket(ns closewait.NetNS, local, remote netip.AddrPort) *closewait.Socket {
	v.t.Helper()
	for _, s := range v.all() {
		if s.ID.NetNS == ns && s.Local == local && s.Remote == remote {
			return s
		}
	}
	v.t.Fatalf("%v to %v in namespace %d is not seen: %v", local, remote, ns, v)
	return nil
}

func (v view) String() string {
	var b strings.Builder
	for _, h := range v.Holders {
		b.WriteString("\n" + h.Comm + " " + strconv.Itoa(h.ID.PID) + ": " +
			strconv.Itoa(h.Ended.Len()) + " ended, " + strconv.Itoa(h.Unaccepted.Len()) + " unaccepted")
	}
	b.WriteString("\n" + strconv.Itoa(len(v.Ownerless)) + " without a holder, " + strconv.Itoa(v.Denied) + " processes denied")
	return b.String()
}
