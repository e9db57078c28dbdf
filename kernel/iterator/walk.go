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
	iter                        *link.Iter
	operations, place, recorded *ebpf.Variable
	records                     io.ReaderAt
	buffer                      []byte
}

// newWalker finds what the program shares with its reader.
func (it *Iterator) newWalker(spec *ebpf.CollectionSpec) (*walker, error) {
	records, variables := spec.Variables[objectVarRecords], it.programs.Variables
	memory, err := it.programs.Maps[records.SectionName].Memory()
	if err != nil {
		return nil, fmt.Errorf("read the memory of a BPF program: %w", err)
	}
	iter, err := it.attach(objectProgWalk)
	return &walker{
		iter: iter, operations: variables[objectVarSocketOperations], place: variables[objectVarPlace], recorded: variables[objectVarRecorded],
		records: io.NewSectionReader(memory, int64(records.Offset), int64(records.Size())), buffer: make([]byte, records.Size()),
	}, err
}

// ready tells whether the program knows what a socket is, which it learns when the iterator over files meets one.
func (w *walker) ready() bool {
	var operations uint64
	return w != nil && w.operations.Get(&operations) == nil && operations != 0
}

// walk is as Iterator.Sockets, but that records of sockets that have no cookie yet are marked so.
func (w *walker) walk(ctx context.Context, each func(*Socket)) (malformed []error, err error) {
	if err := errors.Join(w.place.Set(make([]byte, w.place.Size())), w.recorded.Set(uint32(0))); err != nil {
		return nil, err
	}
	output, err := w.iter.Open()
	if err != nil {
		return nil, err
	}
	defer func() { _ = output.Close() }() // nothing was written: there is nothing to lose
	return readAll(ctx, &walkReader{w, output}, w.buffer, each)
}

// walkReader makes the program run on, and reads what it has recorded.
type walkReader struct {
	*walker
	output io.Reader
}

func (r *walkReader) Read(b []byte) (int, error) {
	var nothing [1]byte
	_, result := r.output.Read(nothing[:])
	var recorded uint32
	if err := r.recorded.Get(&recorded); err != nil {
		return 0, err
	}
	n, err := r.records.ReadAt(b[:int(recorded)*int(unsafe.Sizeof(objectRecord{}))], 0)
	return n, errors.Join(err, r.recorded.Set(uint32(0)), result)
}

// holding is a process with a socket.
type holding struct {
	pid   uint32
	inode uint64
}

// walkSockets walks, and has the iterator over files give cookies to sockets without.
func (it *Iterator) walkSockets(ctx context.Context, each func(*Socket)) (malformed []error, err error) {
	unnamed := map[holding]bool{}
	malformed, err = it.walker.walk(ctx, func(s *Socket) {
		if s.Unnamed != 0 {
			unnamed[holding{s.Pid, s.Inode}] = true
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

// name reads sockets again, so that they have cookies.
func (it *Iterator) name(ctx context.Context, unnamed map[holding]bool, each func(*Socket)) (malformed []error, err error) {
	ofThem := func(s *Socket) {
		if unnamed[holding{s.Pid, s.Inode}] {
			each(s)
		}
	}
	pids := map[uint32]bool{}
	for h := range unnamed {
		pids[h.pid] = true
	}
	if len(pids) > manyProcesses {
		return run(ctx, it.sockets, it.buffer, ofThem)
	}
	for pid := range pids {
		iter, err := it.socketsOf(pid)
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
func (it *Iterator) socketsOf(pid uint32) (*link.Iter, error) {
	info := struct{ thread, process, handle uint32 }{process: pid}
	program := it.programs.Programs[objectProgSockets]
	attr := struct {
		program, target, attachType, flags uint32
		info                               uint64
		infoSize, unused                   uint32
	}{program: uint32(program.FD()), attachType: uint32(ebpf.AttachTraceIter), info: uint64(uintptr(unsafe.Pointer(&info))), infoSize: uint32(unsafe.Sizeof(info))}
	fd, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_LINK_CREATE, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
	runtime.KeepAlive(&info)
	if errno != 0 {
		return nil, fmt.Errorf("attach iterator %s to process %d: %w", objectProgSockets, pid, os.NewSyscallError("bpf", errno))
	}
	attached, err := link.NewFromFD(int(fd))
	if err != nil {
		return nil, err
	}
	return attached.(*link.Iter), nil
}
