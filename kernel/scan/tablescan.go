package scan

import (
	"context"
	"fmt"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel/host"
	"closewait_exporter/kernel/procfs"
	"closewait_exporter/kernel/sockdiag"
)

// tableScanner is the common part of the scanners that read the socket tables of the kernel and
// then search /proc for the holders.
type tableScanner struct {
	host      *host.Host
	options   Options
	reader    *namespaceReader
	describer *procfs.Describer
	ports     *procfs.PortRanges

	// Kept from scan to scan.
	scans    uint32 // number of scans
	owners   ownerCache
	closed   closedSockets
	finWait2 finWait2Sockets
	accepted acceptedPorts

	buffers buffers
}

// tableScan is the state of one scan.
type tableScan struct {
	number    uint32 // from 1
	set       *socketSet
	holders   *holderSet
	accepters *accepters        // nil without a socket
	pids      []int             // all processes, as listed last
	unread    []closewait.NetNS // namespaces that could not be read
	taken     time.Time         // after the last row was read, so that ages are never too large
	uptime    time.Duration     // of the host at that time
	missed    []closewait.Facts // accepted sockets that the last scan saw and this one does not

	finWait2Waits bool // some socket in FIN_WAIT2 waits for the next walk to find its holders
}

// newTableScanner returns a tableScanner. The dumper is nil if netlink is not to be used.
func newTableScanner(h *host.Host, o Options, dumper *sockdiag.Dumper) *tableScanner {
	s := &tableScanner{host: h, options: o, describer: procfs.NewDescriber(h), ports: procfs.NewPortRanges(h)}
	s.reader = &namespaceReader{host: h, dumper: dumper, tables: procfs.NewSocketTables(h), find: s.findNamespaces}
	s.owners = ownerCache{host: h, options: o}
	s.closed = closedSockets{host: h, reader: s.reader}
	s.accepted = acceptedPorts{reader: s.reader}
	return s
}

// complete returns the states in which the scan has every held socket that tables show. Sockets in
// FIN_WAIT2 that were not there in the scan before do not count: clients and proxies have them for
// a moment.
func (scan *tableScan) complete() closewait.StateSet {
	if scan.finWait2Waits {
		return closewait.NewStateSet(closewait.CloseWait)
	}
	return closewait.NewStateSet(closewait.CloseWait, closewait.FinWait2)
}

// Close implements Scanner. There is nothing to release.
func (s *tableScanner) Close() {}

// begin begins a scan.
func (s *tableScanner) begin() *tableScan {
	s.scans++
	set := s.buffers.socketSet()
	set.settled = s.finWait2.begin(&s.owners.table)
	return &tableScan{number: s.scans, set: set, holders: newHolderSet(s.host)}
}

// scan reads the sockets of all namespaces and finds their holders.
func (s *tableScanner) scan(ctx context.Context) (*tableScan, error) {
	pids, err := s.host.ListPIDs()
	if err != nil {
		s.host.Errors.Add(host.StageProcesses, err)
		return nil, fmt.Errorf("list processes in %s: %w", s.host.Path, err)
	}
	scan := s.begin()
	if scan.unread, err = s.reader.readAll(ctx, scan.set, s.namespacesOf(pids)); err != nil {
		return nil, err
	}
	scan.taken, scan.uptime = time.Now(), host.Uptime()
	if err := s.findOwners(ctx, scan, pids); err != nil {
		return nil, err
	}
	return scan, nil
}

// findOwners finds the holders of the sockets that a scan has read, and adds the closed sockets.
func (s *tableScanner) findOwners(ctx context.Context, scan *tableScan, pids []int) (err error) {
	scan.missed = s.closed.update(ctx, scan, &s.owners.table)
	if scan.pids, err = s.owners.resolve(ctx, scan, &s.closed, pids); err != nil {
		return err
	}
	scan.set.sockets = s.finWait2.withoutUnheld(scan.set.sockets)
	s.closed.addTo(scan, &s.owners.table)
	s.accepted.mark(scan.set, scan.pids, scan.set.reached)
	return nil
}

// snapshot describes the holders of the sockets and returns the result of a scan.
func (s *tableScanner) snapshot(scan *tableScan) (*closewait.Snapshot, error) {
	var err error
	s.buffers.keep(scan.set)
	s.buffers.processes, err = scan.holders.describe(s.buffers.processes[:0], func(id closewait.ProcessID) (closewait.Process, error) {
		p, _, err := s.describer.Describe(id, procfs.Known{})
		return p, err
	})
	if err != nil {
		return nil, err
	}
	if scan.accepters != nil {
		scan.accepters.addQueues(s.buffers.processes)
	}
	return &closewait.Snapshot{
		Complete: scan.complete(),
		Taken:    scan.taken, Uptime: scan.uptime, NetNS: scan.set.netNSIDs(), UnreadableNetNS: scan.unread, Denied: s.owners.unread,
		UsablePorts: scan.set.usablePorts(s.ports, scan.set.reached),
		Sockets:     scan.set.sockets, Processes: s.buffers.processes, PIDs: scan.pids,
	}, nil
}

// namespacesOf returns the network namespaces to read, the own one first.
func (s *tableScanner) namespacesOf(pids []int) []host.Namespace {
	if !s.options.allNamespaces() {
		return []host.Namespace{s.host.OwnNetNS}
	}
	return s.host.Namespaces(pids)
}

// findNamespaces lists the processes again and returns the network namespaces in which they live.
func (s *tableScanner) findNamespaces(context.Context) ([]host.Namespace, error) {
	pids, err := s.host.ListPIDs()
	if err != nil {
		return nil, err
	}
	return s.namespacesOf(pids), nil
}

// procfsScanner reads the sockets of each namespace from /proc/PID/net/tcp and tcp6. It works
// everywhere, and knows neither cookies nor times.
type procfsScanner struct{ *tableScanner }

func openProcFS(h *host.Host, o Options) (Scanner, error) {
	return &procfsScanner{newTableScanner(h, o, nil)}, nil
}

// Scan implements Scanner.
func (s *procfsScanner) Scan(ctx context.Context) (*closewait.Snapshot, error) {
	scan, err := s.scan(ctx)
	if err != nil {
		return nil, err
	}
	return s.snapshot(scan)
}
