// Package host opens the proc file system and holds what every reader of it needs: directories
// below /proc, the identity of processes, network namespaces, capabilities, and the counter of scan
// errors.
package host
