package inspect

import (
	"context"
	"debug/buildinfo"
	"encoding/binary"
	"fmt"
	"io"
	"math/bits"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"closewait_exporter/closewait"
	"closewait_exporter/diagnose"
	"closewait_exporter/kernel/child"
	"closewait_exporter/kernel/host"
	"closewait_exporter/kernel/procfs"
	"closewait_exporter/kernel/sockdiag"
)

// maxSet bounds the descriptors that are read of one wait.
const maxSet = 1024

// memoryRequest asks a child process for what can hang.
type memoryRequest struct {
	Process closewait.ProcessID
	Waits   []waitRequest
	Runtime bool // whether the runtime is asked for
	Table   bool // whether the sockets of its network namespace are asked for
	Peeks   []peekRequest
}

// waitRequest asks for which descriptors a thread waits.
type waitRequest struct {
	TID       int
	Kind      waitKind
	Arguments [6]uint64
}

// memoryAnswer is a part of the answer: the descriptors of a thread, the runtime, sockets, or the
// unread line of the request with an index.
type memoryAnswer struct {
	TID     int
	FDs     []int
	Runtime diagnose.Runtime
	Rows    []sockdiag.Row
	Peek    int
	Line    string
	Error   string
}

// ReadMemory is what the child process does: it answers requests until there are no more. It reads
// memory with process_vm_readv(2), which neither attaches nor stops.
func ReadMemory(ctx context.Context, h *host.Host, requests io.Reader, answers io.Writer) error {
	return child.Serve(requests, answers, func(r *memoryRequest, answer func(memoryAnswer) error) error {
		return r.answer(ctx, h, answer)
	})
}

func (r *memoryRequest) answer(ctx context.Context, h *host.Host, answer func(memoryAnswer) error) error {
	dir, err := h.OpenProcess(r.Process)
	if err != nil {
		return err
	}
	defer dir.Close()
	for _, w := range r.Waits {
		fds, err := w.read(h, dir)
		a := memoryAnswer{TID: w.TID, FDs: fds}
		if err != nil && !host.Vanished(err) {
			a.Error = err.Error()
		}
		if err := answer(a); err != nil {
			return err
		}
	}
	if r.Runtime {
		if err := answer(memoryAnswer{Runtime: readRuntime(ctx, h, dir, r.Process.PID)}); err != nil {
			return err
		}
	}
	if r.Table {
		if err := answerTable(ctx, h, dir, answer); err != nil {
			return err
		}
	}
	return peekAll(h, dir, r.Process, r.Peeks, answer)
}

// read returns the descriptors for which the thread waits.
func (w *waitRequest) read(h *host.Host, process host.Directory) ([]int, error) {
	if w.Kind == epollSet {
		info, err := process.Read("task/"+strconv.Itoa(w.TID)+"/fdinfo/"+strconv.Itoa(int(int32(w.Arguments[0]))), nil)
		return parseEpoll(string(info)), err
	}
	if !h.PIDsAreOurs {
		return nil, fmt.Errorf("read memory: %s shows the pids of another pid namespace", h.Path)
	}
	if w.Kind == pollSet {
		const size = 8 // struct pollfd
		data, err := readMemory(w.TID, w.Arguments[0], size*int(min(w.Arguments[1], maxSet)))
		return parsePoll(data), err
	}
	var fds []int
	n := int(min(w.Arguments[0], maxSet))
	for _, set := range w.Arguments[1:4] {
		if set == 0 || n == 0 {
			continue
		}
		data, err := readMemory(w.TID, set, (n+63)/64*8)
		if err != nil {
			return fds, err
		}
		fds = append(fds, parseSelect(data, n)...)
	}
	return fds, nil
}

// readMemory reads memory of another process. It needs the right to trace it, and does not.
func readMemory(pid int, address uint64, size int) ([]byte, error) {
	if size == 0 {
		return nil, nil
	}
	data := make([]byte, size)
	local := []unix.Iovec{{Base: &data[0]}}
	local[0].SetLen(size)
	n, err := unix.ProcessVMReadv(pid, local, []unix.RemoteIovec{{Base: uintptr(address), Len: size}}, 0)
	if err != nil {
		if host.Denied(err) {
			err = fmt.Errorf("%w: it needs CAP_SYS_PTRACE, and kernel.yama.ptrace_scope below 3", err)
		}
		return nil, fmt.Errorf("read memory of process %d: %w", pid, err)
	}
	return data[:n], nil
}

// parsePoll returns the descriptors of an array of struct pollfd. Negative ones are not waited for.
func parsePoll(data []byte) (fds []int) {
	for ; len(data) >= 8; data = data[8:] {
		if fd := int32(binary.NativeEndian.Uint32(data)); fd >= 0 {
			fds = append(fds, int(fd))
		}
	}
	return fds
}

// parseSelect returns the descriptors below n in a bit set of select(2), which consists of longs.
func parseSelect(data []byte, n int) (fds []int) {
	for word := 0; len(data) >= 8; word, data = word+1, data[8:] {
		for set := binary.NativeEndian.Uint64(data); set != 0; set &= set - 1 {
			if fd := 64*word + bits.TrailingZeros64(set); fd < n {
				fds = append(fds, fd)
			}
		}
	}
	return fds
}

// parseEpoll returns the descriptors in the fdinfo of an epoll instance: lines as
// "tfd:        5 events:       19 data:                5  pos:0 ino:123 sdev:8".
func parseEpoll(info string) (fds []int) {
	for line := range strings.Lines(info) {
		rest, found := strings.CutPrefix(line, "tfd:")
		if !found {
			continue
		}
		number, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
		if fd, err := strconv.Atoi(number); err == nil && fd >= 0 && len(fds) < maxSet {
			fds = append(fds, fd)
		}
	}
	return fds
}

// readRuntime finds out what only the content of files shows.
func readRuntime(ctx context.Context, h *host.Host, process host.Directory, pid int) diagnose.Runtime {
	if mapped, err := procfs.MapsLibrary(ctx, process, "libjvm.so"); err == nil && mapped {
		return diagnose.Java
	}
	if _, err := buildinfo.ReadFile(h.Path + "/" + strconv.Itoa(pid) + "/exe"); err == nil {
		return diagnose.Go
	}
	return ""
}
