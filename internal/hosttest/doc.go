// Package hosttest gives the tests of a package a host of their own: a pid, a network and a mount
// namespace in which nothing else runs. What they count is theirs, what acts there finds no process of
// anybody else, and no process, mount or setting outlives them. Only tests may import it.
package hosttest
