// Package hosttest gives the tests of a package their own host: a pid, a network and a mount
// namespace in which nothing else runs. Everything they count is their own, a reaper finds no other
// process there, and no process, mount or setting outlives them. Only tests may import it.
package hosttest
