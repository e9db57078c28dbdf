package diagnose

// Verdict is why a process does not close its connections, as far as the facts show it.
type Verdict struct {
	Kind       Kind
	Confidence Confidence
	Summary    string   // one sentence
	Evidence   []string // sentences, the strongest first
	Next       string   // the next command to type; empty: none
}

// Wrong reports whether something is wrong, or may be.
func (v *Verdict) Wrong() bool { return v.Kind != NothingWrong && v.Kind != HalfClose }

// Kind is the kind of a Verdict.
type Kind string

// The kinds.
const (
	Halted           Kind = "halted"             // stopped by a signal or a tracer, or frozen
	WaitsForItself   Kind = "waits_for_itself"   // it calls itself, and the called part is not served
	WaitsForPeer     Kind = "waits_for_peer"     // its threads wait for answers of one remote service
	OutOfDescriptors Kind = "out_of_descriptors" // accept() and connect() fail
	Overload         Kind = "overload"           // too little processor time: load, not a leak
	HalfCloseProxy   Kind = "half_close_proxy"   // it has passed the end on, and the other side does not close
	HalfClose        Kind = "half_close"         // the peer has closed its half, and data still flows
	Shared           Kind = "shared"             // another process holds the same sockets
	AcceptQueue      Kind = "accept_queue"       // its accept loop stands still
	Uninterruptible  Kind = "uninterruptible"    // a thread is blocked in the kernel
	NeverReads       Kind = "never_reads"        // it does not read from connections that have ended
	NeverCloses      Kind = "never_closes"       // it has read the end and does not close
	IdlePool         Kind = "idle_pool"          // idle outbound connections whose end it does not notice
	Unconnected      Kind = "unconnected"        // sockets that were never connected
	PeerKeepsOpen    Kind = "peer_keeps_open"    // it has shut down its side, and the peers have not
	Unknown          Kind = "unknown"            // something is wrong, or not readable, and no kind fits
	NothingWrong     Kind = "nothing_wrong"
)

// Kinds are all kinds, in the order in which they are checked, without the last two.
var Kinds = []Kind{
	Halted, WaitsForItself, WaitsForPeer, Overload, OutOfDescriptors, AcceptQueue, Uninterruptible, HalfCloseProxy, Shared,
	NeverReads, NeverCloses, IdlePool, Unconnected, PeerKeepsOpen, HalfClose,
}

// Confidence is how sure a Verdict is.
type Confidence string

// The confidences.
const (
	Sure     Confidence = "sure"     // the facts leave no other explanation that is known
	Likely   Confidence = "likely"   // the facts fit, and others are rare
	Possible Confidence = "possible" // the facts fit, and others are common
)
