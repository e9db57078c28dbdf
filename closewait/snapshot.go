package closewait

import "time"

// Snapshot is what one scan of the host saw. The Tracker only reads it, and keeps nothing of its
// slices but the Holders, so a scanner may reuse the rest for its next scan.
type Snapshot struct {
	Taken           time.Time      // after the last socket was read, so that ages are lower bounds
	Sockets         []SocketSample // all in CLOSE_WAIT, and those defunct that are known; a dump under churn can repeat one
	Processes       []Process      // every process that is a holder of some socket
	PIDs            []int          // every pid on the host, ascending: who is neither there nor in Processes has ended
	NetNS           []NetNS        // the namespaces whose sockets were read
	UnreadableNetNS []NetNS        // namespaces that are there and could not be read in this scan
	Denied          int            // processes that could not be looked into

	// AllDefunct says that every defunct socket was seen; else only some are known, such as those that were
	// in CLOSE_WAIT in an earlier scan.
	AllDefunct bool

	// Confirmed are sockets that are still in CLOSE_WAIT although this scan did not list them: the
	// scanner asked the kernel for each. A dump that races with churn can miss a socket. It is empty
	// where single sockets cannot be asked for.
	Confirmed []SocketID
}

// ScanError is a kind of thing that went wrong in scans. Both labels come from closed sets.
type ScanError struct {
	Stage  string // what was attempted
	Reason string // why it failed
}
