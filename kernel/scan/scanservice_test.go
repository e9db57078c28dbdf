package scan_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel/host"
	"closewait_exporter/kernel/scan"
)

// scanRole is the role of a process that scans on request: as another user, without some
// capability, with few descriptors or under strace. It reads a scanRequest per line from stdin
// and answers each with a scanResponse on stdout.
const scanRole = "service"

// scanRequest says what to do, in this order.
type scanRequest struct {
	NoNetlink bool          // forbid netlink from now on, as a seccomp filter of a service does
	NoBPF     bool          // forbid BPF
	Open      *scan.Options // open a new Scanner, with nothing seen so far
	Headroom  *int          // set the limit of descriptors to this number above the open ones; -1: the limit at the start
	Scan      bool
}

// scanResponse is the result of a scan.
type scanResponse struct {
	Error      string
	Visibility closewait.Visibility
	ScanErrors map[string]uint64 // by "stage/reason", without those that are zero
	Namespaces int
	Unread     int
	Denied     int
	Coverage   float64
	Owners     map[string]int // sockets of the host
	Holders    map[int]reportedHolder
	Sockets    []reportedSocket // all that are listed
}

type reportedHolder struct {
	CloseWait, Unaccepted, Closed int
	Entered, Left                 uint64
}

type reportedSocket struct {
	NetNS         closewait.NetNS
	Local, Remote netip.AddrPort
	Cookie        uint64
	Owner         string
	Holders       []int
	Age           float64 // seconds
}

// scanService is the state of the process between requests.
type scanService struct {
	scanner *hostScanner
	tracker *closewait.Tracker
	limit   unix.Rlimit // at the start
}

func serveScans(in io.Reader, out io.Writer) error {
	s := &scanService{}
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &s.limit); err != nil {
		return err
	}
	for lines := bufio.NewScanner(in); lines.Scan(); {
		var request scanRequest
		if err := json.Unmarshal(lines.Bytes(), &request); err != nil {
			return err
		}
		r, err := s.handle(request)
		if err != nil {
			r.Error = err.Error()
		}
		if err := json.NewEncoder(out).Encode(r); err != nil {
			return err
		}
	}
	return nil
}

func (s *scanService) handle(request scanRequest) (r scanResponse, err error) {
	if request.NoNetlink {
		if err := forbid(unix.SYS_SOCKET, unix.AF_NETLINK, unix.EAFNOSUPPORT); err != nil {
			return r, err
		}
	}
	if request.NoBPF {
		const loadProgram, createMap, loadBTF = 5, 0, 18
		for _, command := range []uint32{loadProgram, createMap, loadBTF} {
			if err := forbid(unix.SYS_BPF, command, unix.EPERM); err != nil {
				return r, err
			}
		}
	}
	if request.Open != nil {
		if s.scanner != nil {
			s.scanner.Close()
		}
		if s.scanner, err = open(*request.Open); err != nil {
			return r, err
		}
		s.tracker = closewait.NewTracker([]float64{60})
	}
	if request.Headroom != nil {
		if err := s.leaveHeadroom(*request.Headroom); err != nil {
			return r, err
		}
	}
	if !request.Scan {
		return r, nil
	}
	if s.scanner == nil {
		return r, errors.New("no scanner is open: the first request has to open one")
	}
	snapshot, err := s.scanner.Scan(context.Background())
	r.Visibility, r.ScanErrors = s.scanner.visibility, scanErrorsOf(s.scanner.host)
	if err == nil {
		r.fill(s.tracker.Update(snapshot))
	}
	return r, err
}

func (r *scanResponse) fill(v *closewait.View) {
	r.Namespaces, r.Unread, r.Denied, r.Coverage = v.Namespaces, v.UnreadableNamespaces, v.Denied, v.Coverage()
	r.Owners = map[string]int{}
	for _, family := range closewait.Families {
		for _, owner := range closewait.Owners {
			r.Owners[owner.String()] += v.Sockets.Of(family, owner)
		}
	}
	r.Holders = map[int]reportedHolder{}
	for _, h := range v.Holders {
		r.Holders[h.ID.PID] = reportedHolder{h.Ended.States[closewait.CloseWait], h.Unaccepted.Len(), h.Ended.States[closewait.Closed], h.Entered, h.Left}
	}
	for _, s := range (view{View: v}).all() {
		r.Sockets = append(r.Sockets, reportedSocket{
			s.ID.NetNS, s.Local, s.Remote, s.ID.Cookie, s.Owner.String(), pidsOf(s.Holders), s.Age(v.Taken).Seconds(),
		})
	}
}

// scanErrorsOf returns the errors that have occurred.
func scanErrorsOf(h *host.Host) map[string]uint64 {
	scanErrors := map[string]uint64{}
	for scanError, n := range h.Errors.Snapshot() {
		if n > 0 {
			scanErrors[scanError.Stage+"/"+scanError.Reason] = n
		}
	}
	return scanErrors
}

// leaveHeadroom lowers the limit of descriptors so that n more can be opened, whatever numbers
// are free below the open ones.
func (s *scanService) leaveHeadroom(n int) error {
	if n < 0 {
		return unix.Setrlimit(unix.RLIMIT_NOFILE, &s.limit)
	}
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return err
	}
	highest := 0
	for _, entry := range entries {
		fd, err := strconv.Atoi(entry.Name())
		if err != nil {
			return err
		}
		highest = max(highest, fd)
	}
	for {
		fd, err := unix.Open(os.DevNull, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		if fd >= highest { // the descriptor of the directory was the highest, perhaps
			unix.Close(fd)
			return unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: uint64(fd + n), Max: s.limit.Max})
		}
	}
}

// forbid makes a system call with a certain first argument fail, as the seccomp filter of a
// service does.
func forbid(call, firstArgument uint32, failure unix.Errno) error {
	const number, argument = 0, 16 // offsets in struct seccomp_data
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: number},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: call, Jf: 3},
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: argument},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: firstArgument, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(failure)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("set no_new_privs: %w", err)
	}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC,
		uintptr(unsafe.Pointer(&program)))
	if errno != 0 {
		return fmt.Errorf("install seccomp filter: %w", errno)
	}
	return nil
}
