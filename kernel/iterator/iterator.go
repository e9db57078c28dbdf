package iterator

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
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/rlimit"
	"golang.org/x/sys/unix"
)

// Iterator holds the programs in the kernel, ready to run. It is not safe for concurrent use.
type Iterator struct {
	sockets, processes *link.Iter
	walker             *walker // nil: the kernel cannot
	buffer             []byte
}

// output is how much the kernel gathers of an iterator's output before it is read: 8 pages (bpf_iter.c). What it
// has beyond that in a read it hands out with the next one, so that a smaller buffer would cut records in two.
var output = 8 * os.Getpagesize()

// New loads the programs into the kernel. It takes CAP_BPF and CAP_PERFMON, and a few dozen milliseconds, for most
// of which the kernel's types are read. Its error says what is missing.
func New() (*Iterator, error) {
	_ = rlimit.RemoveMemlock() // only kernels before 5.11 count it, and where it matters loading fails
	attempts := [][]string{{objectProgSockets, objectProgWalk}, {objectProgSockets}, {objectProgSocketsUntyped}}
	if unsafe.Sizeof(uintptr(0)) != 8 { // the walk knows tables of the kernels of 64 bits only
		attempts = attempts[1:]
	}
	var it *Iterator
	var err error
	for _, programs := range attempts {
		if it, err = load(programs...); err == nil || denied(err) {
			break
		}
	}
	return it, explain(err)
}

// load loads the programs, of those that read sockets only the ones that are named, that over files first.
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
	defer programs.Close() // links keep them in the kernel: descriptors are what may be scarce
	it = &Iterator{buffer: make([]byte, output)}
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

func attach(programs *ebpf.Collection, name string) (*link.Iter, error) {
	iter, err := link.AttachIter(link.IterOptions{Program: programs.Programs[name]})
	if err != nil {
		return nil, fmt.Errorf("attach iterator %s: %w", name, err)
	}
	return iter, nil
}

// denied tells whether privileges are missing. The verifier refuses programs with the same errors.
func denied(err error) bool {
	_, refused := errors.AsType[*ebpf.VerifierError](err)
	return !refused && (errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES))
}

// explain says what is missing where that is known.
func explain(err error) error {
	switch {
	case err == nil:
		return nil
	case denied(err):
		return fmt.Errorf("load BPF iterator: %w: it takes CAP_BPF and CAP_PERFMON", err)
	case errors.Is(err, btf.ErrNotFound), errors.Is(err, ebpf.ErrNotSupported):
		return fmt.Errorf("load BPF iterator: %w: it takes Linux 5.10 or later with BTF (/sys/kernel/btf/vmlinux)", err)
	}
	return fmt.Errorf("load BPF iterator: %w", err)
}

// Close takes the programs out of the kernel.
func (it *Iterator) Close() {
	iters := []*link.Iter{it.sockets, it.processes}
	if it.walker != nil {
		iters = append(iters, it.walker.iter)
		_ = it.walker.namer.Close() // as below
	}
	for _, iter := range iters {
		if iter != nil {
			_ = iter.Close() // nothing was written: there is nothing to lose
		}
	}
}

// Sockets calls each for each descriptor of a socket of interest that a process has, of all processes in
// the pid namespace of the caller, mostly ascending by pid. What it passes is valid during the call only.
// Records that make no sense are left out, and are what malformed tells of.
func (it *Iterator) Sockets(ctx context.Context, each func(*Socket)) (malformed []error, err error) {
	if it.walker.ready() {
		return it.walkSockets(ctx, each)
	}
	return run(ctx, it.sockets, it.buffer, each)
}

// Processes calls each for each process in the pid namespace of the caller, and for each thread that lives in
// another network namespace than the leader of its process, ascending by thread id. See Sockets for the rest.
func (it *Iterator) Processes(ctx context.Context, each func(*Process)) (malformed []error, err error) {
	return run(ctx, it.processes, it.buffer, each)
}

func run[R any, P record[R]](ctx context.Context, iter *link.Iter, buffer []byte, each func(P)) (malformed []error, err error) {
	output, err := iter.Open()
	if err != nil {
		return nil, err
	}
	defer func() { _ = output.Close() }() // nothing was written: there is nothing to lose
	return readAll(ctx, output, buffer, each)
}

func readAll[R any, P record[R]](ctx context.Context, output io.Reader, buffer []byte, each func(P)) (malformed []error, err error) {
	for ctx.Err() == nil {
		n, err := output.Read(buffer)
		malformed = append(malformed, decode(buffer[:n], each)...)
		switch {
		case errors.Is(err, io.EOF):
			return malformed, nil
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN): // a million descriptors, and nothing of interest: go on
		case err != nil:
			return malformed, fmt.Errorf("read BPF iterator: %w", err)
		}
	}
	return malformed, ctx.Err()
}
