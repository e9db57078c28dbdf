// Package bare counts sockets in CLOSE_WAIT by the least that a BPF iterator can do: it visits the same
// descriptors as package iterator and tells nothing of them. It is what benchmarks compare with; only
// tests may import it.
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

// New loads the program. It takes Linux 5.12, and what package iterator takes.
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

// Count visits all descriptors, and is how many of them are sockets in CLOSE_WAIT.
func (c *Counter) Count() (n uint64, err error) {
	if err := c.objects.Count.Set(uint64(0)); err != nil {
		return 0, err
	}
	pass, err := c.iter.Open()
	if err != nil {
		return 0, err
	}
	defer func() { _ = pass.Close() }()                                       // nothing was written: there is nothing to lose
	for buf := make([]byte, 16); err == nil || errors.Is(err, unix.EAGAIN); { // after a million descriptors
		_, err = pass.Read(buf)
	}
	if !errors.Is(err, io.EOF) {
		return 0, err
	}
	return n, c.objects.Count.Get(&n)
}

// Close takes the program out of the kernel.
func (c *Counter) Close() {
	_ = c.iter.Close()
	_ = c.objects.Close()
}
