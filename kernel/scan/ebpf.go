package scan

import (
	"context"
	"fmt"
	"slices"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel/bpf"
	"closewait_exporter/kernel/host"
	"closewait_exporter/kernel/procfs"
	"closewait_exporter/kernel/sockdiag"
)

// ebpfScanner reads the descriptors of all processes with BPF iterators, which report every socket
// that a process holds, with its holder. It finds sockets without a descriptor by dumps of some
// namespaces.
type ebpfScanner struct {
	host     *host.Host
	options  Options
	iterator *bpf.Iterator
	reader   *namespaceReader
	ports    *procfs.PortRanges

	// Kept from scan to scan.
	schedule     bpfSchedule
	unheld       unheldSockets
	missed       missedSockets
	accepted     acceptedPorts
	descriptions bpfDescriptions

	buffers    buffers
	bpfBuffers bpfBuffers
}

// seenByBPF are the states in which a scan by BPF sees every held socket.
var seenByBPF = closewait.NewStateSet(closewait.CloseWait, closewait.Closed, closewait.FinWait2, closewait.Unconnected)

func openEBPF(h *host.Host, o Options) (Scanner, error) {
	iterator, err := openIterator(h)
	if err != nil {
		return nil, err
	}
	s := &ebpfScanner{
		host: h, options: o, iterator: iterator, ports: procfs.NewPortRanges(h),
		schedule: bpfSchedule{refresh: o.Refresh}, unheld: unheldSockets{host: h}, missed: missedSockets{host: h},
		descriptions: bpfDescriptions{describer: procfs.NewDescriber(h), iterator: iterator, refresh: o.Refresh},
	}
	s.reader = &namespaceReader{host: h, tables: procfs.NewSocketTables(h), find: s.findNamespaces, where: s.namespaceOf}
	if sockdiag.Probe() == nil {
		s.reader.dumper = newDumper()
	}
	s.accepted = acceptedPorts{reader: s.reader}
	return s, nil
}

// Close implements Scanner.
func (s *ebpfScanner) Close() { s.iterator.Close() }

// Scan implements Scanner.
func (s *ebpfScanner) Scan(ctx context.Context) (*closewait.Snapshot, error) {
	snapshot, again, err := s.scan(ctx)
	if again {
		snapshot, _, err = s.scan(ctx)
	}
	return snapshot, err
}

// scan scans once. It must be repeated if again is true.
func (s *ebpfScanner) scan(ctx context.Context) (snapshot *closewait.Snapshot, again bool, err error) {
	processes, err := s.listProcesses(ctx, s.buffers.pids)
	if err != nil {
		return nil, false, err
	}
	s.buffers.pids = processes.pids
	if snapshot, err := s.dumpInstead(ctx, processes); snapshot != nil || err != nil {
		return snapshot, false, err
	}
	started := time.Now()
	scan, err := s.readSockets(ctx, processes)
	if err != nil {
		return nil, false, err
	}
	s.schedule.walkedAt, s.schedule.walkCost = time.Now(), time.Since(started)
	held := len(scan.set.sockets)
	unread, err := s.dumpUnheld(ctx, scan)
	if err != nil {
		return nil, false, err
	}
	taken, uptime := time.Now(), host.Uptime() // after the last row was read, so that ages are never too large
	if again = s.unheld.assign(scan, held); again {
		s.schedule.dumpedAt = time.Time{}
		s.keep(scan)
		return nil, true, nil
	}
	s.schedule.quiet = len(unread) == 0 && !needsDescriptors(scan.set.sockets)
	snapshot = &closewait.Snapshot{Taken: taken, Uptime: uptime, NetNS: processes.readable(unread), UnreadableNetNS: unread, Complete: seenByBPF}
	if s.reader.dumper != nil { // a dump can miss sockets
		snapshot.Confirmed = s.missed.confirm(scan.set, nil, hasNoHolder, unread)
	}
	if err := s.unheld.findHolders(ctx, scan, held, s.options.Workers); err != nil {
		return nil, false, err
	}
	s.accepted.mark(scan.set, processes.pids, processes.namespaces)
	s.keep(scan)
	s.buffers.processes, err = s.descriptions.describe(s.buffers.processes[:0], scan.holdersFrom(held), processes)
	if err != nil {
		return nil, false, err
	}
	scan.accepters.addQueues(s.buffers.processes)
	snapshot.UsablePorts = scan.set.usablePorts(s.ports, processes.namespaces)
	snapshot.Sockets, snapshot.Processes, snapshot.PIDs = scan.set.sockets, s.buffers.processes, processes.pids
	return snapshot, false, nil
}

// keep keeps the memory of a scan for the next one.
func (s *ebpfScanner) keep(scan *bpfScan) {
	s.buffers.keep(scan.set)
	s.bpfBuffers = scan.bpfBuffers
}

// dumpInstead returns the Snapshot of a host on which nothing is to be reported if dumps show that
// for less than the descriptors of all processes would cost, else nil.
func (s *ebpfScanner) dumpInstead(ctx context.Context, processes *bpfProcesses) (*closewait.Snapshot, error) {
	list := processes.namespaces
	if !s.schedule.dumpIsCheaper(len(list)) {
		return nil, nil
	}
	for _, ns := range list {
		if !s.reader.canDump(ns) {
			return nil, nil
		}
	}
	set, started := s.buffers.socketSet(), time.Now()
	defer s.buffers.keep(set)
	unread, err := s.reader.readAll(ctx, set, list)
	s.schedule.dumpCost = time.Since(started)
	if err != nil || len(unread) > 0 || slices.ContainsFunc(set.sockets, isEnded) {
		return nil, ctx.Err()
	}
	s.descriptions.forget()
	return &closewait.Snapshot{Taken: time.Now(), Uptime: host.Uptime(), NetNS: set.netNSIDs(), Complete: seenByBPF, PIDs: processes.pids}, nil
}

// needsDescriptors reports whether the next scan must read descriptors: there is an ended socket,
// or a process with enough others to be reported. Every host has some unconnected sockets.
func needsDescriptors(sockets []closewait.SocketSample) bool {
	others := map[closewait.ProcessID]int{}
	return slices.ContainsFunc(sockets, func(s closewait.SocketSample) bool {
		if isEnded(s) {
			return true
		}
		many := false
		for _, id := range s.Holders {
			others[id]++
			many = many || others[id] >= closewait.ManyOthers
		}
		return many
	})
}

func isEnded(s closewait.SocketSample) bool { return s.State.Ended() }

// dumpUnheld adds the sockets that have no descriptor: sockets that wait to be accepted, where a
// listener has any, and sockets on their way from process to process in a message (SCM_RIGHTS).
// For the latter all namespaces are dumped when that is due, and at each scan the namespaces in
// which there were any.
func (s *ebpfScanner) dumpUnheld(ctx context.Context, scan *bpfScan) (unread []closewait.NetNS, err error) {
	all := s.schedule.dumpIsDue(s.unheld.first())
	var list []host.Namespace
	for _, ns := range scan.processes.namespaces {
		if scan.queues[ns.ID] || s.unheld.inFlight[ns.ID] || all && s.reader.canDump(ns) {
			list = append(list, ns)
		}
	}
	if len(list) == 0 {
		return nil, nil
	}
	started := time.Now()
	unread, failures, err := s.reader.read(ctx, scan.set, list)
	if all {
		s.schedule.dumpedAt, s.schedule.dumpCost = time.Now(), time.Since(started)
	}
	if err == nil && host.OutOfResources(failures) {
		err = fmt.Errorf("read sockets: %w", failures)
	}
	return unread, err
}
