package scan

import (
	"cmp"
	"time"
)

// bpfSchedule decides when the ebpf scanner does the expensive work: reading all descriptors and
// dumping all namespaces.
type bpfSchedule struct {
	refresh time.Duration // Options.Refresh

	quiet    bool          // the last scan that read all descriptors found no socket
	walkedAt time.Time     // the last time that all descriptors were read
	walkCost time.Duration // what that cost
	dumpedAt time.Time     // the last dump of all namespaces
	dumpCost time.Duration // what that cost; 0 before the first
}

// costOfDump is the assumed cost of a dump of one namespace, until one has been measured.
const costOfDump = time.Millisecond

// dumpIsCheaper reports whether dumps of all namespaces should replace reading all descriptors:
// if nothing was to be reported and dumps cost less. Dumps do not show closed sockets, so all
// descriptors are read all the same after Options.Refresh, or a hundred times what that costs,
// whichever is longer.
func (b *bpfSchedule) dumpIsCheaper(namespaces int) bool {
	due := time.Since(b.walkedAt) >= max(b.refresh, costShare*b.walkCost)
	return !due && b.quiet && b.walkCost >= cmp.Or(b.dumpCost, time.Duration(namespaces)*costOfDump)
}

// smallHost is what reading all descriptors costs where about 10,000 are open.
const smallHost = 10 * time.Millisecond

// dumpIsDue reports whether all namespaces are to be dumped: for at most a hundredth of the time,
// and in the first scan, when the cost of a dump is not known, only on a small host.
func (b *bpfSchedule) dumpIsDue(first bool) bool {
	if first {
		return b.walkCost < smallHost
	}
	return time.Since(b.dumpedAt) >= costShare*b.dumpCost
}
