package closewait

import "time"

// Snapshot is what one scan of the host saw. The Tracker only reads it, and keeps nothing of its
// slices but the Holders, so a scanner may reuse the rest for its next scan.
type Snapshot struct {
	Taken           time.Time      // after the last socket was read, so that ages are lower bounds
	Uptime          time.Duration  // of the host at about that time, suspended time included; 0: not known
	Sockets         []SocketSample // all in CLOSE_WAIT, and known ones in other states; a dump can repeat one
	Processes       []Process      // every process that holds some socket
	PIDs            []int          // every pid on the host, ascending; a process in neither list has ended
	NetNS           []NetNS        // the namespaces whose sockets were read
	UnreadableNetNS []NetNS        // namespaces that exist and could not be read in this scan
	UsablePorts     map[NetNS]int  // local ports for connect(2): ip_local_port_range without the reserved ones; absent where not known
	Denied          int            // processes whose descriptors could not be read

	// Complete has the states in which every held socket was seen. Of others only some sockets are
	// known, such as closed ones that an earlier scan saw in CLOSE_WAIT.
	Complete StateSet

	// Confirmed are sockets that are still in their state although this scan did not list them:
	// the scanner asked the kernel for each. A dump that races with churn can miss a socket. It
	// is empty where single sockets cannot be asked for.
	Confirmed []SocketID
}

// ScanError is a kind of error during scans. Both labels come from closed sets.
type ScanError struct {
	Stage  string // what was attempted
	Reason string // why it failed
}
