package bpf

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// heldSocket is a socket of a process.
type heldSocket struct {
	pid   uint32
	inode uint64
}

// walkSockets reads sockets with the walker. Sockets without a cookie it reads again with the
// iterator over files, which assigns cookies.
func (it *Iterator) walkSockets(ctx context.Context, each func(*Socket)) (malformed []error, err error) {
	cookieless := map[heldSocket]uint8{}
	malformed, err = it.walker.walk(ctx, func(s *Socket) {
		if s.Cookieless != 0 {
			cookieless[heldSocket{s.Pid, s.Inode}] |= s.Cookieless
			return
		}
		each(s)
	})
	if err == nil && len(cookieless) > 0 {
		var more []error
		more, err = it.assignCookies(ctx, cookieless, each)
		malformed = append(malformed, more...)
	}
	return malformed, err
}

// manyProcesses is the number of processes above which one pass over all processes costs less than
// a pass for each of them.
const manyProcesses = 32

// ofThread is the value of Socket.Cookieless for a descriptor that is only in the table of a
// thread. Before Linux 6.7 the iterator over one process skips some of them.
const ofThread = 2

// assignCookies calls each for the given sockets, which it reads with the iterator that assigns
// cookies. A socket that the iterator does not find was closed.
func (it *Iterator) assignCookies(ctx context.Context, cookieless map[heldSocket]uint8, each func(*Socket)) (malformed []error, err error) {
	eachWanted := func(s *Socket) {
		if _, wanted := cookieless[heldSocket{s.Pid, s.Inode}]; wanted {
			each(s)
		}
	}
	pids, all := map[uint32]bool{}, false
	for s, value := range cookieless {
		pids[s.pid] = true
		all = all || value&ofThread != 0
	}
	if all || len(pids) > manyProcesses {
		return run(ctx, it.sockets, it.buffer, eachWanted)
	}
	for pid := range pids {
		iter, err := it.walker.socketsOf(pid)
		if err != nil {
			return malformed, err
		}
		more, err := run(ctx, iter, it.buffer, eachWanted)
		malformed = append(malformed, more...)
		if err = errors.Join(err, iter.Close()); err != nil {
			return malformed, err
		}
	}
	return malformed, nil
}

// socketsOf returns the iterator over the files of one process (bpf_iter_link_info in
// include/uapi/linux/bpf.h). Package link has no option for it.
func (w *walker) socketsOf(pid uint32) (*link.Iter, error) {
	info := &struct{ thread, process, handle uint32 }{process: pid}
	var pinner runtime.Pinner // because attr has the address as a number
	pinner.Pin(info)
	defer pinner.Unpin()
	attr := struct {
		program, target, attachType, flags uint32
		info                               uint64
		infoSize, unused                   uint32
	}{program: uint32(w.cookieAssigner.FD()), attachType: uint32(ebpf.AttachTraceIter)}
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
