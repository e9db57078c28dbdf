package scan

import (
	"context"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel/host"
	"closewait_exporter/kernel/sockdiag"
)

// netlinkScanner reads the sockets of each namespace by sock_diag dumps, which include cookies,
// ages and queues.
type netlinkScanner struct {
	*tableScanner
	missed missedSockets
}

func openNetlink(h *host.Host, o Options) (Scanner, error) {
	if err := sockdiag.Probe(); err != nil {
		return nil, err
	}
	return &netlinkScanner{newTableScanner(h, o, newDumper()), missedSockets{host: h}}, nil
}

// Scan implements Scanner.
func (s *netlinkScanner) Scan(ctx context.Context) (*closewait.Snapshot, error) {
	scan, err := s.scan(ctx)
	if err != nil {
		return nil, err
	}
	confirmed := s.missed.confirm(scan.set, scan.missed, isUnaccepted, scan.unread)
	snapshot, err := s.snapshot(scan)
	if err != nil {
		return nil, err
	}
	snapshot.Confirmed = confirmed
	return snapshot, nil
}
