package host

// The values of --collector.network-namespaces: whose sockets are scanned and acted upon.
const (
	AllNamespaces = "all" // sockets of every network namespace in which a process lives
	OwnNamespace  = "own" // only sockets of the network namespace of this process
)
