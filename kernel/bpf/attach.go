package bpf

import (
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// attachToProcess returns an iterator over one process only, or over its files (bpf_iter_link_info
// in include/uapi/linux/bpf.h). Package link has no option for it. It needs Linux 6.1.
func attachToProcess(program *ebpf.Program, name string, pid uint32) (*link.Iter, error) {
	info := &struct{ thread, process, handle uint32 }{process: pid}
	var pinner runtime.Pinner // because attr has the address as a number
	pinner.Pin(info)
	defer pinner.Unpin()
	attr := struct {
		program, target, attachType, flags uint32
		info                               uint64
		infoSize, unused                   uint32
	}{program: uint32(program.FD()), attachType: uint32(ebpf.AttachTraceIter)}
	attr.info, attr.infoSize = uint64(uintptr(unsafe.Pointer(info))), uint32(unsafe.Sizeof(*info))
	fd, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_LINK_CREATE, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
	if errno != 0 {
		return nil, fmt.Errorf("attach iterator %s to process %d: %w", name, pid, os.NewSyscallError("bpf", errno))
	}
	attached, err := link.NewFromFD(int(fd))
	if err != nil {
		return nil, err
	}
	return attached.(*link.Iter), nil
}
