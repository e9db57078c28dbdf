package bpf

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/features"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/rlimit"
	"golang.org/x/sys/unix"

	"closewait_exporter/kernel/host"
)

// Iterator holds the programs loaded into the kernel. It is not safe for concurrent use.
type Iterator struct {
	sockets, processes *link.Iter
	walker             *walker // nil: the kernel does not support it
	buffer             []byte
}

// outputSize is the maximum size of the output of one read, in bytes: the kernel gathers 8 pages
// (kernel/bpf/bpf_iter.c). A smaller buffer would cut records in two, because the next read returns
// the rest.
var outputSize = 8 * os.Getpagesize()

// New loads the programs into the kernel. It needs CAP_BPF and CAP_PERFMON. It takes a few dozen
// milliseconds, mostly for reading the types of the kernel. Its error says what is missing.
func New() (*Iterator, error) {
	lockedMemory := raiseLockedMemory()
	attempts := [][]string{{objectProgSockets, objectProgWalk}, {objectProgSockets}, {objectProgSocketsUntyped}}
	if unsafe.Sizeof(uintptr(0)) != 8 { // the walk only knows the tables of 64-bit kernels
		attempts = attempts[1:]
	}
	var it *Iterator
	var err error
	for _, programs := range attempts {
		if it, err = load(programs...); err == nil || denied(err) {
			break
		}
	}
	return it, explain(err, lockedMemory)
}

// raiseLockedMemory raises the limit of locked memory. Only kernels before 5.11 count it for
// BPF: if it is too low there, loading fails. On others it returns no error.
func raiseLockedMemory() error {
	const linux5_11 = 5<<16 | 11<<8
	err := rlimit.RemoveMemlock()
	if version, unknown := features.LinuxVersionCode(); unknown == nil && version >= linux5_11 {
		return nil // the probe of package rlimit fails without privileges
	}
	return err
}

// load loads the program that reads processes, and the named programs that read sockets, of which
// the first must be an iterator over files.
func load(readers ...string) (it *Iterator, err error) {
	spec, err := loadObject()
	if err != nil {
		return nil, err
	}
	if err := checkLayouts(spec.Types); err != nil {
		return nil, err
	}
	for _, other := range []string{objectProgSockets, objectProgSocketsUntyped, objectProgWalk} {
		if !slices.Contains(readers, other) {
			delete(spec.Programs, other)
		}
	}
	programs, err := ebpf.NewCollection(spec)
	if err != nil {
		return nil, err
	}
	defer programs.Close() // saves descriptors; the links keep the programs in the kernel
	it = &Iterator{buffer: make([]byte, outputSize)}
	it.sockets, err = attach(programs, readers[0])
	if err == nil {
		it.processes, err = attach(programs, objectProgProcesses)
	}
	if err == nil && slices.Contains(readers, objectProgWalk) {
		it.walker, err = newWalker(spec, programs)
	}
	if err != nil {
		it.Close()
		return nil, err
	}
	return it, nil
}

// attach returns a link to an iterator, which can be opened for each pass.
func attach(programs *ebpf.Collection, name string) (*link.Iter, error) {
	iter, err := link.AttachIter(link.IterOptions{Program: programs.Programs[name]})
	if err != nil {
		return nil, fmt.Errorf("attach iterator %s: %w", name, err)
	}
	return iter, nil
}

// denied reports whether privileges are missing. It excludes errors of the verifier, which rejects
// programs with EACCES and EPERM too.
func denied(err error) bool {
	_, rejected := errors.AsType[*ebpf.VerifierError](err)
	return !rejected && host.Denied(err)
}

// explain adds to an error what is missing, if that is known. lockedMemory is the error of raising
// the limit of locked memory where that counts. Package ebpf names this limit whenever the kernel
// does not permit something, although a capability is missing nearly always.
func explain(err, lockedMemory error) error {
	switch {
	case err == nil:
		return nil
	case denied(err):
		if errno, found := errors.AsType[unix.Errno](err); found {
			err = errno
		}
		if lockedMemory != nil {
			return fmt.Errorf("load BPF iterator: %w: it needs CAP_BPF and CAP_PERFMON, and on this kernel a higher limit of locked memory (LimitMEMLOCK=64M)", err)
		}
		return fmt.Errorf("load BPF iterator: %w: it needs CAP_BPF and CAP_PERFMON", err)
	case errors.Is(err, btf.ErrNotFound), errors.Is(err, ebpf.ErrNotSupported):
		return fmt.Errorf("load BPF iterator: %w: it needs Linux 5.10 or later with BTF (/sys/kernel/btf/vmlinux)", err)
	}
	return fmt.Errorf("load BPF iterator: %w", err)
}

// Close removes the programs from the kernel.
func (it *Iterator) Close() {
	iters := []*link.Iter{it.sockets, it.processes}
	if it.walker != nil {
		iters = append(iters, it.walker.iter)
		_ = it.walker.cookieAssigner.Close() // as below
	}
	for _, iter := range iters {
		if iter != nil {
			_ = iter.Close() // nothing was written, so nothing can be lost
		}
	}
}

// Sockets calls each for each descriptor of a socket of interest (see Socket), for all processes in
// the pid namespace of the caller, mostly ascending by pid. The record is only valid during the
// call. Malformed records are skipped; malformed has an error for each of them.
func (it *Iterator) Sockets(ctx context.Context, each func(*Socket)) (malformed []error, err error) {
	if it.walker.ready() {
		return it.walkSockets(ctx, each)
	}
	return run(ctx, it.sockets, it.buffer, each)
}

// Processes calls each for each process in the pid namespace of the caller, and for each thread
// that lives in another network namespace than the leader of its process, ascending by thread id.
// For the record and malformed see Sockets.
func (it *Iterator) Processes(ctx context.Context, each func(*Process)) (malformed []error, err error) {
	return run(ctx, it.processes, it.buffer, each)
}

// run makes one pass with an iterator.
func run[R any, P record[R]](ctx context.Context, iter *link.Iter, buffer []byte, each func(P)) (malformed []error, err error) {
	output, err := iter.Open()
	if err != nil {
		return nil, err
	}
	defer func() { _ = output.Close() }() // nothing was written, so nothing can be lost
	return readAll(ctx, output, buffer, each)
}

// readAll reads output to its end and calls each for each record.
func readAll[R any, P record[R]](ctx context.Context, output io.Reader, buffer []byte, each func(P)) (malformed []error, err error) {
	for ctx.Err() == nil {
		n, err := output.Read(buffer)
		malformed = append(malformed, decode(buffer[:n], each)...)
		switch {
		case errors.Is(err, io.EOF):
			return malformed, nil
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN): // a million descriptors without output: continue
		case err != nil:
			return malformed, fmt.Errorf("read BPF iterator: %w", err)
		}
	}
	return malformed, ctx.Err()
}
