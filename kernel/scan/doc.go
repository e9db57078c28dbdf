// Package scan finds the sockets in CLOSE_WAIT of a Linux host, their holders, and the sockets
// whose connection is over but whose descriptor is still open.
//
// A Scanner returns a Snapshot for each Scan. There are three: the ebpf scanner (ebpf.go) reads
// the descriptors of all processes with BPF iterators; the netlink scanner (netlink.go) and the
// procfs scanner (procfs.go) read the socket tables of the kernel and then search /proc for the
// holders (tablescan.go). They differ in what they can know, and share the parts:
// namespacereader.go reads the sockets of network namespaces, listeners.go finds the listener of
// a socket, owners.go remembers the holders of sockets, closed.go follows sockets that have left
// the tables, missed.go asks for sockets that a dump has missed, and holders.go describes the
// holders.
//
// The state of a single scan is in a value of its own (tableScan, bpfScan). A scanner's fields are
// what it keeps from scan to scan; memory that the next scan only reuses is in its buffers.
package scan
