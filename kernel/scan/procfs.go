package scan

import (
	"context"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel/host"
)

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
