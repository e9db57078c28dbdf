// Package sockdiag sends netlink requests about TCP sockets (sock_diag(7)): it dumps the sockets of
// a network namespace, reads the state of single sockets, and destroys them.
package sockdiag
