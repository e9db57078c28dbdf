package scan

import "time"

// RefreshNow makes the next scan search for all holders again, as after Options.Refresh, and for
// sockets in flight.
func RefreshNow(s Scanner) {
	switch s := s.(type) {
	case *ebpfScanner:
		s.schedule.walkedAt, s.schedule.dumpedAt = time.Time{}, time.Time{}
	case *netlinkScanner:
		s.owners.walkedAt = time.Time{}
	case *procfsScanner:
		s.owners.walkedAt = time.Time{}
	}
}
