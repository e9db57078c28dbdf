// Package kerneltest makes input for the tests of the packages below kernel/: sockets with known
// facts, the files of a fake /proc, and threads with hostile names. Only tests may import it.
package kerneltest
