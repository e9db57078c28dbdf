package closewait

import "time"

// Snapshot is what one scan of the host saw. The Tracker reads it once and keeps nothing of its
// slices but the Holders, so that a scanner may use the rest again for its next scan.
// It may correct the Direction of Sockets in place.
type Snapshot struct {
	Taken     time.Time  // after the last socket was read, so that ages are lower bounds
	Sockets   []Sighting // all in CLOSE_WAIT, and those defunct that are known; a dump under churn can repeat one
	Processes []Process  // every process that is a holder of some socket
	PIDs      []int      // every pid on the host, ascending: who is neither there nor in Processes has ended
	NetNS     []NetNS    // the namespaces whose sockets were read
	Unread    []NetNS    // namespaces that are there and could not be read in this scan
	Denied    int        // processes that could not be looked into

	// AllDefunct says that every defunct socket was seen; else only some are known, such as those that were
	// in CLOSE_WAIT in an earlier scan.
	AllDefunct bool

	// Confirm tells which of some sockets, that two scans in a row have missed, are there all the same. It
	// is nil where single sockets cannot be asked for.
	Confirm func(missed []*Socket) map[SocketID]bool
}

// ScanError is a kind of error that scans count. Both labels come from closed sets.
type ScanError struct {
	Stage  string // what the scan attempted
	Reason string // why it failed
}
