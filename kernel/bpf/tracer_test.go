package bpf

import (
	"errors"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"closewait_exporter/internal/kerneltest"
	"closewait_exporter/internal/leaktest"
	"closewait_exporter/internal/leaktest/tcp"
	"closewait_exporter/kernel/host"
)

// newTracer traces this process.
func newTracer(t *testing.T) *Tracer {
	t.Helper()
	leaktest.RequireRoot(t)
	tracer, err := NewTracer(os.Getpid(), kerneltest.IdentityOf(t, os.Getpid()).Start)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tracer.Close)
	if err := tracer.Attach(); err != nil {
		t.Fatal(err)
	}
	for _, hook := range tracer.Hooks {
		t.Logf("%s: %s (%v)", hook.Event, hook.At, hook.Error)
	}
	return tracer
}

// tracedSockets returns the records of the sockets of this process, by descriptor.
func tracedSockets(t *testing.T, tracer *Tracer) map[int]TracedSocket {
	t.Helper()
	sockets := map[int]TracedSocket{}
	malformed, err := tracer.Sockets(t.Context(), func(s *TracedSocket) { sockets[int(s.Socket().Fd)] = *s })
	if err != nil || len(malformed) > 0 {
		t.Fatal(err, malformed)
	}
	return sockets
}

// requireStack requires a stack of this process to contain a function.
func requireStack(t *testing.T, tracer *Tracer, number int32, function string) {
	t.Helper()
	addresses, err := tracer.Stack(number)
	if err != nil {
		t.Fatal(err)
	}
	pcs := make([]uintptr, len(addresses))
	for i, address := range addresses {
		pcs[i] = uintptr(address)
	}
	var names []string
	for frames := runtime.CallersFrames(pcs); ; {
		frame, more := frames.Next()
		names = append(names, frame.Function)
		if !more {
			break
		}
	}
	if !slices.ContainsFunc(names, func(name string) bool { return strings.HasSuffix(name, function) }) {
		t.Errorf("no %s in the stack %v", function, names)
	}
}

//go:noinline
func openHere(t *testing.T, at netip.AddrPort) int {
	t.Helper()
	fd, _, err := tcp.Connect(netip.Addr{}, at, unix.IPPROTO_TCP)
	if err != nil {
		t.Fatal(err)
	}
	return fd
}

//go:noinline
func acceptHere(t *testing.T, listener int) int {
	t.Helper()
	fd, _, err := unix.Accept(listener)
	if err != nil {
		t.Fatal(err)
	}
	return fd
}

//go:noinline
func readHere(t *testing.T, fd int) int {
	t.Helper()
	n, err := unix.Read(fd, make([]byte, 8))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestTracerRecordsWhereSocketsBeginAndEnd(t *testing.T) {
	listener, at, err := tcp.Listen(netip.MustParseAddrPort("127.0.0.1:0"), false, unix.IPPROTO_TCP)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(listener)
	before := openHere(t, at)
	defer unix.Close(before)
	defer unix.Close(acceptHere(t, listener))

	tracer := newTracer(t)
	client := openHere(t, at)
	server := acceptHere(t, listener)
	defer unix.Close(server)
	if n, err := unix.Write(client, []byte("x")); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	if n := readHere(t, server); n != 1 {
		t.Fatalf("read %d bytes, want 1", n)
	}
	sockets := tracedSockets(t, tracer)
	if s := sockets[before]; s.Birth.Call != CallNone || s.Socket().Cookie == 0 {
		t.Errorf("a socket that was there before has %+v", s)
	}
	s := sockets[client]
	if s.Birth.Call != CallConnect || s.Birth.EndCall != CallNone {
		t.Errorf("the client has %+v, want the call %d", s.Birth, CallConnect)
	}
	requireStack(t, tracer, s.Birth.Stack, ".openHere")

	unix.Close(client)
	if n := readHere(t, server); n != 0 {
		t.Fatalf("read %d bytes, want the end", n)
	}
	s = tracedSockets(t, tracer)[server]
	switch s.Birth.Call {
	case CallAccept:
		requireStack(t, tracer, s.Birth.Stack, ".acceptHere")
	case CallRead:
		requireStack(t, tracer, s.Birth.Stack, ".readHere")
	default:
		t.Errorf("the server has %+v, want an accept or a read", s.Birth)
	}
	if s.Birth.EndCall != CallRead || s.Socket().State != host.TCPCloseWait || s.Socket().LocalPort != at.Port() {
		t.Errorf("the server has %+v, want a read of the end at port %d", s, at.Port())
	}
	requireStack(t, tracer, s.Birth.EndStack, ".readHere")
}

func TestTracerRefusesAProcessThatHasEnded(t *testing.T) {
	leaktest.RequireRoot(t)
	if _, err := NewTracer(os.Getpid(), kerneltest.IdentityOf(t, os.Getpid()).Start+1); !errors.Is(err, unix.ESRCH) {
		t.Errorf("a pid that is used again: error %v, want ESRCH", err)
	}
	const noPID = 1<<22 + 1 // above the maximum of pid_max
	if _, err := NewTracer(noPID, 1); !errors.Is(err, unix.ESRCH) {
		t.Errorf("no such pid: error %v, want ESRCH", err)
	}
}
