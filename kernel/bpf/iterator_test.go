package bpf

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/netip"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/rlimit"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"closewait_exporter/internal/leaktest"
	"closewait_exporter/internal/leaktest/tcp"
	"closewait_exporter/kernel/host"
)

// TestMain lifts limits: of locked memory, which Linux 5.10 counts, and of descriptors.
func TestMain(m *testing.M) {
	const descriptors = 1 << 16
	// This needs root, as do the tests that depend on it.
	_ = errors.Join(rlimit.RemoveMemlock(), unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: descriptors, Max: descriptors}))
	goleak.VerifyTestMain(m)
}

// endpoint is a connection or listener of this process.
type endpoint struct {
	state         uint8
	local, remote string
}

// TestAllProgramsReadTheSame compares the program for typed pointers with the one for old kernels
// and the walk, and all of them with what this process knows about its sockets.
func TestAllProgramsReadTheSame(t *testing.T) {
	leaktest.RequireRoot(t)
	if !kernelHas(t, forTypedPointers) {
		t.Skip("needs Linux 5.12: older kernels have one program only")
	}
	want := map[endpoint]bool{}
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		for _, mptcp := range []struct{ server, client bool }{{}, {server: true}, {client: true}, {true, true}} {
			listener := leaktest.Listen(t, "tcp", address, func(c *net.ListenConfig) { c.SetMultipathTCP(mptcp.server) })
			want[endpoint{host.TCPListen, listener.Addr().String(), ""}] = true
			dialer := &net.Dialer{}
			dialer.SetMultipathTCP(mptcp.client)
			connect := func() *leaktest.Connection { return leaktest.ConnectTo(t, listener, listener.Addr().String(), dialer) }
			half, reset := connect(), connect()
			if _, err := half.Client.Write([]byte("12345")); err != nil {
				t.Fatal(err)
			}
			half.HalfCloseClient()
			reset.ResetClient()
			want[endpoint{host.TCPFinWait2, half.Remote().String(), half.Local().String()}] = true
			want[endpoint{host.TCPCloseWait, half.Local().String(), half.Remote().String()}] = true
			want[endpoint{host.TCPClose, reset.Local().String(), reset.Remote().String()}] = true
		}
	}
	for _, port := range []uint16{0, 1} { // never connected, and refused
		for _, loopback := range []string{"127.0.0.1", "::1"} {
			want[unconnected(t, netip.AddrPortFrom(netip.MustParseAddr(loopback), port))] = true
		}
	}
	records := map[string]map[endpoint]objectRecord{}
	programs := []string{objectProgSockets, objectProgSocketsUntyped}
	if kernelHas(t, forTheWalk) {
		programs = append(programs, objectProgWalk)
	}
	first := opened(t, objectProgSockets)
	leaktest.Eventually(t, time.Minute, func() (bool, string) { // states of MPTCP change a moment later
		got := maps.Collect(keys(own(t, first)))
		return maps.Equal(got, want), fmt.Sprintf("%s reads %v, want %v", objectProgSockets, got, want)
	})
	for _, program := range programs {
		records[program] = own(t, opened(t, program))
		if got := maps.Collect(keys(records[program])); !maps.Equal(got, want) {
			t.Errorf("%s reads %v, want %v", program, got, want)
		}
	}
	for e, walked := range records[objectProgWalk] {
		if typed := records[objectProgSockets][e]; walked.Cookie != typed.Cookie || walked.Cookieless != 0 {
			t.Errorf("%v: cookie %d, then %d, not known: %d", e, typed.Cookie, walked.Cookie, walked.Cookieless)
		}
		later := records[objectProgSocketsUntyped][e]
		later.Cookie = 0
		if walked.Cookie = 0; !sameButTimes(walked, later) {
			t.Errorf("%v:\n%+v and\n%+v", e, walked, later)
		}
	}
	multipath, countsUnread := 0, mptcpHas(t, "bytes_consumed")
	for e, typed := range records[objectProgSockets] {
		multipath += int(typed.Mptcp)
		untyped := records[objectProgSocketsUntyped][e]
		if untyped.Cookie != 0 {
			t.Errorf("%v: cookie %d of a socket that may not be asked for it", e, untyped.Cookie)
		}
		if later := untyped.SinceLastAck - typed.SinceLastAck; e.state != host.TCPListen && later > 1000 {
			t.Errorf("%v: %d jiffies since the last ACK, then %d", e, typed.SinceLastAck, untyped.SinceLastAck)
		}
		if typed.Cookie = 0; !sameButTimes(typed, untyped) {
			t.Errorf("%v:\n%+v and\n%+v", e, typed, untyped)
		}
		received, want := uint64(len("12345")+1), uint32(len("12345")+1)
		if typed.Mptcp != 0 {
			received--
			if !countsUnread {
				want = 0
			}
		}
		if e.state == host.TCPCloseWait && (typed.RecvQueue != want || typed.BytesReceived != received) {
			t.Errorf("%v: %d bytes wait and %d were received, want %d and %d: with the FIN, which is no byte of MPTCP", e, typed.RecvQueue, typed.BytesReceived, want, received)
		}
		if inbound := uint8(2); e.state == host.TCPCloseWait && typed.Mptcp != 0 && typed.Opener != inbound {
			t.Errorf("%v: opened by %d, want the peer", e, typed.Opener)
		}
		if typed.Uid != uint32(os.Getuid()) || typed.Inode == 0 || typed.Netns == 0 {
			t.Errorf("%v: %+v", e, typed)
		}
	}
	leaktest.RequireMPTCP(t)
	// Both ends of each kind, the listener of TCP clients, and the client that has fallen back.
	if want := 2 * (4 + 1 + 1); multipath != want {
		t.Errorf("%d are of MPTCP, want %d", multipath, want)
	}
}

// unconnected opens a socket without a connection.
func unconnected(t *testing.T, to netip.AddrPort) endpoint {
	t.Helper()
	fd, err := tcp.Unconnected(to, unix.IPPROTO_TCP)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	local, err := tcp.LocalAddr(fd)
	if err != nil {
		t.Fatal(err)
	}
	remote := local.Addr() // unspecified
	if to.Port() != 0 {
		remote = to.Addr() // the kernel forgets the port
	}
	return endpoint{NeverConnected, local.String(), netip.AddrPortFrom(remote, 0).String()}
}

// Kernel functions that show whether the newer programs are supported: Linux 5.12 and 6.2.
const forTypedPointers, forTheWalk = "bpf_get_socket_ptr_cookie", "bpf_rdonly_cast"

func kernelHas(t *testing.T, function string) bool {
	t.Helper()
	kernel, err := btf.LoadKernelSpec()
	if err != nil {
		t.Fatal(err)
	}
	var found *btf.Func
	return kernel.TypeByName(function, &found) == nil
}

// mptcpHas reports whether an MPTCP socket has a field.
func mptcpHas(t *testing.T, field string) bool {
	t.Helper()
	kernel, err := btf.LoadKernelSpec()
	if err != nil {
		t.Fatal(err)
	}
	var socket *btf.Struct
	return kernel.TypeByName("mptcp_sock", &socket) == nil &&
		slices.ContainsFunc(socket.Members, func(m btf.Member) bool { return m.Name == field })
}

// opened returns an Iterator that reads sockets with one of the programs.
func opened(t *testing.T, program string) *Iterator {
	t.Helper()
	programs := []string{program}
	if program == objectProgWalk {
		if !kernelHas(t, forTheWalk) {
			t.Skip("needs Linux 6.2")
		}
		programs = []string{objectProgSockets, program}
	}
	it, err := load(programs...)
	if err != nil {
		t.Fatalf("%s: %v", program, err)
	}
	t.Cleanup(it.Close)
	if program == objectProgWalk {
		own(t, it)
		if !it.walker.ready() {
			t.Fatal("after a pass over files the walker is not ready")
		}
	}
	return it
}

func sameButTimes(a, b objectRecord) bool {
	for _, r := range []*objectRecord{&a, &b} {
		r.SinceLastAck, r.SinceLastSent, r.SinceLastReceived = 0, 0, 0
	}
	return a == b
}

func TestProcessesAreFoundOnceEach(t *testing.T) {
	leaktest.RequireRoot(t)
	it, err := New()
	if err != nil {
		t.Fatal(err)
	}
	defer it.Close()
	seen := map[uint32]int{}
	malformed, err := it.Processes(t.Context(), func(p *Process) {
		if p.Thread == p.Pid {
			seen[p.Pid]++
		}
	})
	if err != nil || len(malformed) > 0 {
		t.Fatal(err, malformed)
	}
	for pid, n := range seen {
		if n != 1 {
			t.Errorf("process %d was found %d times", pid, n)
		}
	}
	for _, pid := range []int{os.Getpid(), os.Getppid()} {
		if seen[uint32(pid)] != 1 {
			t.Errorf("process %d was not found", pid)
		}
	}
}

func TestACancelledPassEnds(t *testing.T) {
	leaktest.RequireRoot(t)
	it, err := New()
	if err != nil {
		t.Fatal(err)
	}
	defer it.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = it.Sockets(ctx, func(s *Socket) { t.Errorf("passed on: %+v", s) })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// scripted answers reads with the given results.
type scripted []struct {
	data []byte
	err  error
}

func (s *scripted) Read(b []byte) (int, error) {
	next := (*s)[0]
	*s = (*s)[1:]
	return copy(b, next.data), next.err
}

func TestReadsContinueUntilTheEnd(t *testing.T) {
	data := encoded(t, closeWait())
	failure := errors.New("it fails")
	for _, c := range []struct {
		name    string
		reads   scripted
		records int
		err     error
	}{
		{"one read", scripted{{data, nil}, {nil, io.EOF}}, 1, nil},
		{"after a million descriptors of no interest", scripted{{nil, unix.EAGAIN}, {nil, unix.EAGAIN}, {data, nil}, {nil, io.EOF}}, 1, nil},
		{"data with the end", scripted{{data, nil}, {data, io.EOF}}, 2, nil},
		{"interrupted", scripted{{nil, unix.EINTR}, {data, nil}, {nil, io.EOF}}, 1, nil},
		{"a failure", scripted{{data, nil}, {nil, failure}}, 1, failure},
	} {
		t.Run(c.name, func(t *testing.T) {
			records := 0
			malformed, err := readAll(t.Context(), &c.reads, make([]byte, outputSize), func(*Socket) { records++ })
			if records != c.records || len(malformed) > 0 || !errors.Is(err, c.err) || (err == nil) != (c.err == nil) {
				t.Errorf("%d records, %v, %v; want %d and %v", records, malformed, err, c.records, c.err)
			}
			if len(c.reads) > 0 {
				t.Errorf("%d reads were not made", len(c.reads))
			}
		})
	}
}

// own returns the records of this process.
func own(t *testing.T, it *Iterator) map[endpoint]objectRecord {
	t.Helper()
	records := map[endpoint]objectRecord{}
	malformed, err := it.Sockets(t.Context(), func(s *Socket) {
		if s.Pid != uint32(os.Getpid()) {
			return
		}
		e := endpoint{s.State, s.LocalAddress().String(), s.RemoteAddress().String()}
		if s.State == host.TCPListen {
			e.remote = ""
		}
		if _, twice := records[e]; twice {
			t.Errorf("twice: %v", e)
		}
		records[e] = s.objectRecord
	})
	if err != nil || len(malformed) > 0 {
		t.Fatal(err, malformed)
	}
	return records
}

func keys(records map[endpoint]objectRecord) func(func(endpoint, bool) bool) {
	return func(yield func(endpoint, bool) bool) {
		for e := range records {
			if !yield(e, true) {
				return
			}
		}
	}
}
