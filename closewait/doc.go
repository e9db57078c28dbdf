// Package closewait is the vocabulary of the exporter and the memory of what scans saw:
// sockets in CLOSE_WAIT, the processes that hold them, and a Tracker that turns a sequence of
// Snapshots into Views. It is pure: standard library only, no clock, no log, no I/O.
package closewait
