package kernel

import "closewait_exporter/kernel/host"

// Host returns the open host that the Scanner reads, for use by others until the Scanner is
// closed.
func (s *Scanner) Host() *host.Host { return s.host }
