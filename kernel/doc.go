// Package kernel is all that the exporter knows of Linux: its eyes read the sockets in CLOSE_WAIT and
// the processes that hold them, its hands (hands.go) act on them for the reaper. No other package
// imports x/sys/unix or procfs.
//
// A scan goes through the files of this package in this order: scanner.go lists the processes,
// netns.go the namespaces they live in, tables.go the sockets of each by netlink.go or proctcp.go,
// listeners.go tells inbound from outbound and finds the listener of an unaccepted socket,
// owners.go and walk.go find who holds what, defunct.go follows the sockets that no table has any more,
// and process.go says who that is.
package kernel
