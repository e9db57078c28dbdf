// Package kerneltest makes what the tests of several packages below kernel/ read: sockets whose
// every fact is known, files of a fake /proc, and threads with hostile names. Only tests may import
// it.
package kerneltest
