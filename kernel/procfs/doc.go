// Package procfs parses the files of /proc that describe a process, and the socket tables of
// network namespaces.
package procfs
