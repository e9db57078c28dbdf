// Package kernel scans a Linux host for sockets that leak, and acts on their processes for the
// reaper.
//
// A scan uses the packages below this one: scanner.go lists the processes, kernel/host finds the
// network namespaces in which they live, tables.go reads the sockets of each by kernel/sockdiag or
// kernel/procfs, listeners.go tells inbound from outbound connections and finds the listener of a
// socket that waits to be accepted, owners.go finds the holders of sockets by kernel/fdscan,
// defunct.go follows the sockets that are in no table any more, and kernel/procfs describes the
// holders. With BPF, pass.go and passes.go do most of that by kernel/bpf.
package kernel
