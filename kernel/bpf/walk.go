package bpf

import (
	"context"
	"errors"
	"fmt"
	"io"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// walker runs the program that reads descriptor tables directly from memory (bpf/walk.h). It needs
// Linux 6.2.
type walker struct {
	iter                 *link.Iter
	cookieAssigner       *ebpf.Program // the iterator over files, see attachToProcess
	operations, position *ebpf.Variable
	records, fdCounts    recordBuffer
	buffer               []byte
	open                 map[uint32]fdCount // by pid
	malformed            []error            // malformed records of fdCounts
}

// recordBuffer is a memory-mapped array through which the program passes records to this process.
type recordBuffer struct {
	used    *ebpf.Variable // number of records
	content io.ReaderAt
	size    int // of a record, in bytes
}

// newWalker attaches the program, and finds the memory that it shares with this process.
func newWalker(spec *ebpf.CollectionSpec, programs *ebpf.Collection) (w *walker, err error) {
	w = &walker{operations: programs.Variables[objectVarSocketOperations], position: programs.Variables[objectVarPosition], open: map[uint32]fdCount{}}
	if w.records, err = newRecordBuffer(spec.Variables[objectVarRecords], objectVarRecordsUsed, programs, unsafe.Sizeof(objectRecord{})); err != nil {
		return nil, err
	}
	if w.fdCounts, err = newRecordBuffer(spec.Variables[objectVarFdCounts], objectVarFdCountsUsed, programs, unsafe.Sizeof(objectFdCount{})); err != nil {
		return nil, err
	}
	w.buffer = make([]byte, spec.Variables[objectVarRecords].Size())
	if w.iter, err = attach(programs, objectProgWalk); err != nil {
		return nil, err
	}
	w.cookieAssigner = programs.DetachProgram(objectProgSockets)
	return w, nil
}

func newRecordBuffer(content *ebpf.VariableSpec, used string, programs *ebpf.Collection, size uintptr) (recordBuffer, error) {
	memory, err := programs.Maps[content.SectionName].Memory()
	if err != nil {
		return recordBuffer{}, fmt.Errorf("read the memory of a BPF program: %w", err)
	}
	return recordBuffer{programs.Variables[used], io.NewSectionReader(memory, int64(content.Offset), int64(content.Size())), int(size)}, nil
}

// read reads all records and empties the buffer.
func (b *recordBuffer) read(to []byte) (n int, err error) {
	var used uint32
	if err := b.used.Get(&used); err != nil {
		return 0, err
	}
	n, err = b.content.ReadAt(to[:min(len(to), int(used)*b.size)], 0)
	return n, errors.Join(err, b.clear())
}

func (b *recordBuffer) clear() error { return b.used.Set(uint32(0)) }

// ready reports whether the program can recognise sockets: it uses an address that the iterator
// over files stores when it visits a socket.
func (w *walker) ready() bool {
	var operations uint64
	return w != nil && w.operations.Get(&operations) == nil && operations != 0
}

// walk does what Iterator.Sockets does, except that it assigns no cookies: the records of sockets
// without a cookie have Cookieless set.
func (w *walker) walk(ctx context.Context, each func(*Socket)) (malformed []error, err error) {
	clear(w.open)
	w.malformed = nil
	if err := errors.Join(w.position.Set(make([]byte, w.position.Size())), w.records.clear(), w.fdCounts.clear()); err != nil {
		return nil, err
	}
	output, err := w.iter.Open()
	if err != nil {
		return nil, err
	}
	defer func() { _ = output.Close() }() // nothing was written, so nothing can be lost
	malformed, err = readAll(ctx, &walkReader{w, output}, w.buffer, each)
	return append(malformed, w.malformed...), err
}

// walkReader runs the program for the next part of the walk, and reads the records that it writes.
type walkReader struct {
	*walker
	output io.Reader
}

// Read reads records of sockets. It stores the numbers of descriptors in the walker.
func (r *walkReader) Read(b []byte) (int, error) {
	var nothing [1]byte
	_, result := r.output.Read(nothing[:])
	n, err := r.fdCounts.read(b)
	if err != nil {
		return 0, err
	}
	r.malformed = append(r.malformed, decode(b[:n], func(t *fdCount) { r.open[t.Pid] = *t })...)
	n, err = r.records.read(b)
	return n, errors.Join(err, result)
}

// OpenDescriptors returns the number of open descriptors of a process, if the last call of Sockets
// has counted them: it counts them for processes that have records, on kernels with Linux 6.2.
func (it *Iterator) OpenDescriptors(p *Process) (n uint64, known bool) {
	if it.walker == nil {
		return 0, false
	}
	t, counted := it.walker.open[p.Pid]
	return uint64(t.Open), counted && t.Start == p.Start
}
