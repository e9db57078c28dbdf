package collector

import (
	"net/netip"
	"testing"

	"closewait_exporter/closewait"
)

func TestRatiosOfAGroupAreTheLargest(t *testing.T) {
	with := func(pid int, queue closewait.AcceptQueue, used, usable int) *closewait.Holder {
		h := holderOf(pid, holding(), holding())
		h.Queues.Fullest = queue
		h.Ports = closewait.PortUse{Remote: netip.MustParseAddrPort("10.0.0.9:5432"), Used: used, Usable: usable}
		return h
	}
	total := sum([]*closewait.Holder{
		with(1, closewait.AcceptQueue{Length: 9, Backlog: 100, Known: true}, 10, 100),
		with(2, closewait.AcceptQueue{Length: 5, Backlog: 10, Known: true}, 30, 60),
		with(3, closewait.AcceptQueue{Length: 999}, 999, 0), // not known
	})
	if ratio, known := total.Queues.Fullest.Ratio(); !known || ratio != 0.5 {
		t.Errorf("accept queue %v (known: %v), want 0.5", ratio, known)
	}
	if ratio, known := total.Ports.Ratio(); !known || ratio != 0.5 {
		t.Errorf("local ports %v (known: %v), want 0.5", ratio, known)
	}
}

// TestUnacceptedSocketsOfAGroupAddUp has two workers with a queue each, and three sockets of which
// nothing shows in which queue they are.
func TestUnacceptedSocketsOfAGroupAddUp(t *testing.T) {
	var workers []*closewait.Holder
	for pid, length := range map[int]int{1: 1, 2: 2} {
		sockets := []*closewait.Socket{aged(1, 0, 1, 2), aged(2, 0, 1, 2), aged(3, 0, 1, 2)}
		for _, s := range sockets {
			s.Contested = true
		}
		h := holderOf(pid, holding(), closewait.NewHolding(sockets))
		h.Queues.Contested = length
		workers = append(workers, h)
	}
	if n, _ := sum(workers).UnacceptedCount(); n != 3 {
		t.Errorf("%d unaccepted, want 3", n)
	}
}
