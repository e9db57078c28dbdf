// Package bare counts sockets in CLOSE_WAIT with a minimal BPF iterator: it visits the same
// descriptors as package bpf and returns nothing else. Benchmarks compare with it. Only tests may
// import it.
package bare

import (
	"errors"
	"io"

	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

//go:generate go tool bpf2go -tags linux -cflags "-O2 -g -Wall -Werror -mcpu=v3" -target bpfel,bpfeb object ../bpf/bare.bpf.c

// Counter is the program in the kernel, ready to run.
type Counter struct {
	objects objectObjects
	iter    *link.Iter
}

// New loads the program. It needs Linux 5.12, and what package bpf needs.
func New() (*Counter, error) {
	c := &Counter{}
	if err := loadObjectObjects(&c.objects, nil); err != nil {
		return nil, err
	}
	var err error
	if c.iter, err = link.AttachIter(link.IterOptions{Program: c.objects.Counter}); err != nil {
		_ = c.objects.Close()
		return nil, err
	}
	return c, nil
}

// Count visits all descriptors and returns the number of those that are sockets in CLOSE_WAIT.
func (c *Counter) Count() (n uint64, err error) {
	if err := c.objects.Count.Set(uint64(0)); err != nil {
		return 0, err
	}
	pass, err := c.iter.Open()
	if err != nil {
		return 0, err
	}
	defer func() { _ = pass.Close() }() // nothing was written, so nothing can be lost
	// EAGAIN comes after a million descriptors.
	for buf := make([]byte, 16); err == nil || errors.Is(err, unix.EAGAIN); {
		_, err = pass.Read(buf)
	}
	if !errors.Is(err, io.EOF) {
		return 0, err
	}
	return n, c.objects.Count.Get(&n)
}

// Close removes the program from the kernel.
func (c *Counter) Close() {
	_ = c.iter.Close()
	_ = c.objects.Close()
}
