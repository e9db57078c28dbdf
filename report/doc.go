// Package report shows one look at the host to a person at a shell: a table of processes, one of
// sockets, or both as JSON. It never cuts or hides anything without saying so, and nothing that a
// process has chosen reaches the terminal as it is.
package report
