package kernel

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel/host"
)

// passes is what is remembered from one scan by BPF to the next: when the dear looks were taken, and
// which sockets nobody held.
type passes struct {
	quiet   bool          // the last pass has found nothing that leaks
	at      time.Time     // of the last pass over all sockets
	cost    time.Duration // of it
	dumped  time.Time     // the last dump of all namespaces
	dumping time.Duration // what it cost; 0: there was none

	orphans  map[closewait.SocketID]bool // accepted sockets that the last dump has shown and the pass before it not
	inFlight map[closewait.NetNS]bool    // where some of them were there twice
}

// scanPass finds sockets and their holders by a pass over all descriptors and, what no descriptor shows,
// by dumps of some namespaces.
func (s *Scanner) scanPass(ctx context.Context) (*closewait.Snapshot, error) {
	var err error
	if s.pass, err = s.passProcesses(ctx); err != nil {
		return nil, err
	}
	snapshot, err := s.dumpInstead(ctx)
	if snapshot != nil || err != nil {
		return snapshot, err
	}
	started := time.Now()
	if err := s.passSockets(ctx, s.pass); err != nil {
		return nil, err
	}
	s.passes.at, s.passes.cost = time.Now(), time.Since(started)
	held := len(s.sockets)
	unread, err := s.dumpUnheld(ctx)
	if err != nil {
		return nil, err
	}
	taken := time.Now() // after the last row, so that ages are never too large
	first := s.passes.orphans == nil
	if s.assignUnheld(held); first && len(s.passes.orphans) > 0 {
		s.passes.dumped = time.Time{}
		return s.scanPass(ctx) // who looks only once is to see them too
	}
	s.findHolders(s.sockets[held:])
	s.passes.quiet = len(s.sockets)+len(unread) == 0
	snapshot = &closewait.Snapshot{Taken: taken, NetNS: s.pass.read(unread), UnreadableNetNS: unread, AllDefunct: true}
	if s.dumper != nil {
		snapshot.Confirmed = s.confirmMissed(nil, hasNoHolder, s.reached, unread) // a dump can miss them
	}
	return snapshot, nil
}

// dumpInstead is the Snapshot of a host on which nothing is in CLOSE_WAIT, where dumps are likely to tell
// that for less than a pass, and do; else it is nil. Defunct sockets, which stand in no table, are looked
// for by a pass all the same when Options.Relook is over, or a hundred times what a pass costs, whichever
// is longer.
func (s *Scanner) dumpInstead(ctx context.Context) (*closewait.Snapshot, error) {
	const ofOneDump = time.Millisecond
	list := s.pass.namespaces
	due := time.Since(s.passes.at) >= max(s.options.Relook, lookShare*s.passes.cost)
	dumping := cmp.Or(s.passes.dumping, time.Duration(len(list))*ofOneDump)
	if due || !s.passes.quiet || s.passes.cost < dumping || slices.ContainsFunc(list, s.cannotDump) {
		return nil, nil
	}
	started := time.Now()
	read, unread, err := s.readSockets(ctx, list)
	s.passes.dumping = time.Since(started)
	if err != nil || len(s.sockets)+len(unread) > 0 {
		return nil, ctx.Err()
	}
	s.findHolders(nil)
	return &closewait.Snapshot{Taken: time.Now(), NetNS: read, AllDefunct: true}, nil
}

func (s *Scanner) cannotDump(ns host.Namespace) bool {
	return s.dumper == nil || !ns.Own && !s.host.Capable(unix.CAP_SYS_ADMIN)
}

// ofSmallHost is what a pass costs where some 10,000 descriptors are open.
const ofSmallHost = 10 * time.Millisecond

// dumpUnheld adds the sockets that have no descriptor: those that wait to be accepted, where some
// listener has any, and those on their way from process to process in a message (SCM_RIGHTS). For the
// latter all namespaces are dumped, at most for a hundredth of the time, and at each scan those in which there
// were any.
func (s *Scanner) dumpUnheld(ctx context.Context) (unread []closewait.NetNS, err error) {
	all := time.Since(s.passes.dumped) >= lookShare*s.passes.dumping
	if first := s.passes.orphans == nil; first {
		all = s.passes.cost < ofSmallHost // nothing is known of what a dump costs, but what follows from this
	}
	var list []host.Namespace
	for _, ns := range s.pass.namespaces {
		if s.pass.queues[ns.ID] || s.passes.inFlight[ns.ID] || all && !s.cannotDump(ns) {
			list = append(list, ns)
		}
	}
	if len(list) == 0 {
		return nil, nil
	}
	started := time.Now()
	_, unread, failures, err := s.readNamespaces(ctx, list)
	if all {
		s.passes.dumped, s.passes.dumping = time.Now(), time.Since(started)
	}
	if err == nil && host.OutOfResources(failures) {
		err = fmt.Errorf("read sockets: %w", failures)
	}
	return unread, err
}

// assignUnheld fills in the owners of the sockets from a certain one on, which dumps have added. One that was
// accepted is taken out at first: a process can have got it after the pass has looked there.
func (s *Scanner) assignUnheld(from int) {
	nobody := closewait.OwnerUnresolved
	if s.host.SeesAllProcesses {
		nobody = closewait.OwnedByKernel
	}
	before := s.passes.orphans
	s.passes.orphans, s.passes.inFlight = map[closewait.SocketID]bool{}, map[closewait.NetNS]bool{}
	for id := range before {
		if s.pass.in[id.NetNS] && !slices.ContainsFunc(s.reached, func(ns host.Namespace) bool { return ns.ID == id.NetNS }) {
			s.passes.orphans[id] = true
		}
	}
	unheld := slices.DeleteFunc(s.sockets[from:], func(row closewait.SocketSample) bool {
		if !row.Accepted() {
			return false
		}
		s.passes.orphans[row.ID] = true
		if before[row.ID] {
			s.passes.inFlight[row.ID.NetNS] = true
		}
		return !before[row.ID]
	})
	s.sockets = s.sockets[:from+len(unheld)]
	for i := range unheld {
		row := &unheld[i]
		row.Direction, row.Owner = s.listeners.direction(row.ID.NetNS, row.Local), nobody
		if !row.Accepted() {
			row.Owner, row.Holders = closewait.OwnedByListener, s.pass.accepters(row)
		}
	}
}

// findHolders collects the processes that the sockets are assigned to: those of the pass, and of the sockets that
// dumps have added.
func (s *Scanner) findHolders(unheld []closewait.SocketSample) {
	s.holders = map[closewait.ProcessID]bool{}
	for i, id := range s.pass.ids {
		if s.pass.holds[i] {
			s.holders[id] = true
		}
	}
	var before []closewait.ProcessID
	for i := range unheld {
		holders := unheld[i].Holders
		if len(holders) == 0 || len(before) > 0 && &before[0] == &holders[0] {
			continue // sockets with the same holders share one list
		}
		before = holders
		for _, id := range holders {
			s.holders[id] = true
		}
	}
}
