// Package action acts on the processes of a Linux host and on their sockets.
//
// An Executor opens a process as a ProcessHandle (processhandle.go), which never affects another
// process. State and Halted report whether the process can run at all (state.go, freezer.go).
// Verify (verify.go, by socketfd.go, or by lookup.go where descriptors cannot be duplicated) and
// Holders (holders.go) read the current facts before each action. The actions are RaiseNoFile,
// Destroy, Shutdown, ThreadDump and Signal, each in a file of its name; guard.go runs a program
// that may deny them, and wait.go waits for the end of a process. Rights (rights.go) reports which
// actions are permitted. A HostLock (lock.go) keeps two reapers from acting on one host.
//
// Calls that the kernel can block are bounded in time and number (boundedcalls.go).
package action
