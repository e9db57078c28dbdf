// Package sockdiag talks to the kernel about TCP sockets by netlink (sock_diag(7)): it dumps the
// sockets of a network namespace, asks for single ones, and destroys them.
package sockdiag
