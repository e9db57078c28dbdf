// Package report shows a View to people: a table of processes, a table of sockets, or both as JSON.
// It never truncates or hides anything without saying so, and it escapes names that a process has
// chosen before they reach a terminal.
package report
