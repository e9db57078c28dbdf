package iterator

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// walker is the program that reads tables of descriptors as they lie in memory (bpf/walk.h). It takes Linux 6.2.
type walker struct {
	iter              *link.Iter
	namer             *ebpf.Program // the iterator over files, see socketsOf
	operations, place *ebpf.Variable
	records, tallies  shelf
	buffer            []byte
	open              map[uint32]tally // by pid
	malformed         []error          // tallies
}

// shelf is where the program puts records for its reader.
type shelf struct {
	used    *ebpf.Variable // how many there are
	content io.ReaderAt
	size    int // of one, in bytes
}

// newWalker attaches the program, and finds what it shares with its reader.
func newWalker(spec *ebpf.CollectionSpec, programs *ebpf.Collection) (w *walker, err error) {
	w = &walker{operations: programs.Variables[objectVarSocketOperations], place: programs.Variables[objectVarPlace], open: map[uint32]tally{}}
	if w.records, err = newShelf(spec.Variables[objectVarRecords], objectVarRecorded, programs, unsafe.Sizeof(objectRecord{})); err != nil {
		return nil, err
	}
	if w.tallies, err = newShelf(spec.Variables[objectVarTallies], objectVarTallied, programs, unsafe.Sizeof(objectTally{})); err != nil {
		return nil, err
	}
	w.buffer = make([]byte, spec.Variables[objectVarRecords].Size())
	if w.iter, err = attach(programs, objectProgWalk); err != nil {
		return nil, err
	}
	w.namer = programs.DetachProgram(objectProgSockets)
	return w, nil
}

func newShelf(content *ebpf.VariableSpec, used string, programs *ebpf.Collection, size uintptr) (shelf, error) {
	memory, err := programs.Maps[content.SectionName].Memory()
	if err != nil {
		return shelf{}, fmt.Errorf("read the memory of a BPF program: %w", err)
	}
	return shelf{programs.Variables[used], io.NewSectionReader(memory, int64(content.Offset), int64(content.Size())), int(size)}, nil
}

// take reads all that is on the shelf, and makes room.
func (s *shelf) take(b []byte) (n int, err error) {
	var used uint32
	if err := s.used.Get(&used); err != nil {
		return 0, err
	}
	n, err = s.content.ReadAt(b[:min(len(b), int(used)*s.size)], 0)
	return n, errors.Join(err, s.clear())
}

func (s *shelf) clear() error { return s.used.Set(uint32(0)) }

// ready tells whether the program knows what a socket is, which it learns when the iterator over files meets one.
func (w *walker) ready() bool {
	var operations uint64
	return w != nil && w.operations.Get(&operations) == nil && operations != 0
}

// walk is as Iterator.Sockets, but that records of sockets that have no cookie yet are marked so.
func (w *walker) walk(ctx context.Context, each func(*Socket)) (malformed []error, err error) {
	clear(w.open)
	w.malformed = nil
	if err := errors.Join(w.place.Set(make([]byte, w.place.Size())), w.records.clear(), w.tallies.clear()); err != nil {
		return nil, err
	}
	output, err := w.iter.Open()
	if err != nil {
		return nil, err
	}
	defer func() { _ = output.Close() }() // nothing was written: there is nothing to lose
	malformed, err = readAll(ctx, &walkReader{w, output}, w.buffer, each)
	return append(malformed, w.malformed...), err
}

// walkReader makes the program run on, and reads what it has put on its shelves.
type walkReader struct {
	*walker
	output io.Reader
}

func (r *walkReader) Read(b []byte) (int, error) {
	var nothing [1]byte
	_, result := r.output.Read(nothing[:])
	n, err := r.tallies.take(b)
	if err != nil {
		return 0, err
	}
	r.malformed = append(r.malformed, decode(b[:n], func(t *tally) { r.open[t.Pid] = *t })...)
	n, err = r.records.take(b)
	return n, errors.Join(err, result)
}

// OpenDescriptors is how many descriptors a process has, where the last call of Sockets has counted them: of those that
// have records, if the kernel can.
func (it *Iterator) OpenDescriptors(p *Process) (n uint64, known bool) {
	if it.walker == nil {
		return 0, false
	}
	t, counted := it.walker.open[p.Pid]
	return uint64(t.Open), counted && t.Start == p.Start
}

// holding is a process with a socket.
type holding struct {
	pid   uint32
	inode uint64
}

// walkSockets walks, and has the iterator over files give cookies to sockets without.
func (it *Iterator) walkSockets(ctx context.Context, each func(*Socket)) (malformed []error, err error) {
	unnamed := map[holding]uint8{}
	malformed, err = it.walker.walk(ctx, func(s *Socket) {
		if s.Unnamed != 0 {
			unnamed[holding{s.Pid, s.Inode}] |= s.Unnamed
			return
		}
		each(s)
	})
	if err == nil && len(unnamed) > 0 {
		var more []error
		more, err = it.name(ctx, unnamed, each)
		malformed = append(malformed, more...)
	}
	return malformed, err
}

// manyProcesses is from when on one pass over all of them costs no more than one for each.
const manyProcesses = 32

// ofThread is the bit in Socket.Unnamed of a descriptor that is not in the table of the process. The iterator over one
// process passes over some of those before Linux 6.7.
const ofThread = 2

// name reads sockets again, so that they have cookies. One that is not found again was closed.
func (it *Iterator) name(ctx context.Context, unnamed map[holding]uint8, each func(*Socket)) (malformed []error, err error) {
	ofThem := func(s *Socket) {
		if _, wanted := unnamed[holding{s.Pid, s.Inode}]; wanted {
			each(s)
		}
	}
	pids, all := map[uint32]bool{}, false
	for h, how := range unnamed {
		pids[h.pid] = true
		all = all || how&ofThread != 0
	}
	if all || len(pids) > manyProcesses {
		return run(ctx, it.sockets, it.buffer, ofThem)
	}
	for pid := range pids {
		iter, err := it.walker.socketsOf(pid)
		if err != nil {
			return malformed, err
		}
		more, err := run(ctx, iter, it.buffer, ofThem)
		malformed = append(malformed, more...)
		if err = errors.Join(err, iter.Close()); err != nil {
			return malformed, err
		}
	}
	return malformed, nil
}

// socketsOf is the iterator over the files of one process (bpf_iter_link_info in include/uapi/linux/bpf.h), for which
// package link has no option.
func (w *walker) socketsOf(pid uint32) (*link.Iter, error) {
	info := &struct{ thread, process, handle uint32 }{process: pid}
	var pinner runtime.Pinner // the kernel is told its address as a number
	pinner.Pin(info)
	defer pinner.Unpin()
	attr := struct {
		program, target, attachType, flags uint32
		info                               uint64
		infoSize, unused                   uint32
	}{program: uint32(w.namer.FD()), attachType: uint32(ebpf.AttachTraceIter)}
	attr.info, attr.infoSize = uint64(uintptr(unsafe.Pointer(info))), uint32(unsafe.Sizeof(*info))
	fd, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_LINK_CREATE, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
	if errno != 0 {
		return nil, fmt.Errorf("attach iterator %s to process %d: %w", objectProgSockets, pid, os.NewSyscallError("bpf", errno))
	}
	attached, err := link.NewFromFD(int(fd))
	if err != nil {
		return nil, err
	}
	return attached.(*link.Iter), nil
}
