package bpf

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"closewait_exporter/internal/leaktest"
	"closewait_exporter/kernel/host"
)

// closeWaits returns the sockets of a process that are in CLOSE_WAIT, by the address of the peer.
func closeWaits(t *testing.T, sockets func(func(*Socket)) ([]error, error), pid int) map[netip.AddrPort][]Socket {
	t.Helper()
	found := map[netip.AddrPort][]Socket{}
	malformed, err := sockets(func(s *Socket) {
		if s.State == host.TCPCloseWait && int(s.Pid) == pid {
			found[s.RemoteAddress()] = append(found[s.RemoteAddress()], *s)
		}
	})
	if err != nil || len(malformed) > 0 {
		t.Fatal(err, malformed)
	}
	return found
}

func remoteOf(c connection) netip.AddrPort { return c.server.RemoteAddr().(*net.TCPAddr).AddrPort() }

func cookieOf(t *testing.T, c connection) (cookie uint64) {
	t.Helper()
	raw, err := c.server.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { cookie, failed = unix.GetsockoptUint64(int(fd), unix.SOL_SOCKET, unix.SO_COOKIE) }); err != nil || failed != nil {
		t.Fatal(err, failed)
	}
	return cookie
}

// TestNewSocketsGetCookies makes sockets after the pass over files that assigns cookies to all.
func TestNewSocketsGetCookies(t *testing.T) {
	leaktest.RequireRoot(t)
	listener := listen(t, "127.0.0.1:0", false)
	it := opened(t, objectProgWalk)
	var news []connection
	for range 3 {
		c := connect(t, listener)
		closeWrite(t, c.client)
		awaitEnd(t, c.server)
		news = append(news, c)
	}
	walk := func(each func(*Socket)) ([]error, error) { return it.walker.walk(t.Context(), each) }
	atFirst := closeWaits(t, walk, os.Getpid())
	for _, c := range news {
		if s := atFirst[remoteOf(c)]; len(s) != 1 || s[0].Cookie != 0 || s[0].Cookieless != 1 {
			t.Errorf("%v at first: %+v, want one without cookie", remoteOf(c), s)
		}
	}
	all := func(each func(*Socket)) ([]error, error) { return it.Sockets(t.Context(), each) }
	for range 2 {
		found := closeWaits(t, all, os.Getpid())
		for _, c := range news {
			if s := found[remoteOf(c)]; len(s) != 1 || s[0].Cookie != cookieOf(t, c) || s[0].Cookieless != 0 {
				t.Errorf("%v: %+v, want one with cookie %d", remoteOf(c), s, cookieOf(t, c))
			}
		}
		if len(found) != len(news) {
			t.Errorf("%d sockets in CLOSE_WAIT, want %d", len(found), len(news))
		}
	}
}

// TestSocketsOfManyProcessesGetCookiesInOnePass asks for more processes than are read one by one.
func TestSocketsOfManyProcessesGetCookiesInOnePass(t *testing.T) {
	leaktest.RequireRoot(t)
	listener := listen(t, "127.0.0.1:0", false)
	it := opened(t, objectProgWalk)
	c, other := connect(t, listener), connect(t, listener)
	for _, c := range []connection{c, other} {
		closeWrite(t, c.client)
		awaitEnd(t, c.server)
	}
	walk := func(each func(*Socket)) ([]error, error) { return it.walker.walk(t.Context(), each) }
	inode := closeWaits(t, walk, os.Getpid())[remoteOf(c)][0].Inode
	for _, processes := range []int{1, manyProcesses + 1} {
		cookieless := map[heldSocket]uint8{{uint32(os.Getpid()), inode}: 1}
		for unused := uint32(1 << 30); len(cookieless) < processes; unused++ {
			cookieless[heldSocket{unused, inode}] = 1
		}
		assign := func(each func(*Socket)) ([]error, error) { return it.assignCookies(t.Context(), cookieless, each) }
		found := closeWaits(t, assign, os.Getpid())
		if s := found[remoteOf(c)]; len(found) != 1 || len(s) != 1 || s[0].Cookie != cookieOf(t, c) {
			t.Errorf("of %d processes: %+v, want one with cookie %d", processes, found, cookieOf(t, c))
		}
	}
}

// TestNewSocketsInATableOfAThreadGetCookies makes a descriptor that the leader of the process does
// not have.
func TestNewSocketsInATableOfAThreadGetCookies(t *testing.T) {
	leaktest.RequireRoot(t)
	listener := listen(t, "127.0.0.1:0", false)
	it := opened(t, objectProgWalk)
	remote := make(chan netip.AddrPort)
	done := make(chan struct{})
	defer close(done)
	go inThread(func() {
		if err := unix.Unshare(unix.CLONE_FILES); err != nil {
			t.Error(err)
		}
		client, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Error(err)
		}
		to := listener.Addr().(*net.TCPAddr).AddrPort()
		if err := unix.Connect(client, &unix.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())}); err != nil {
			t.Error(err)
		}
		remote <- to
		<-done
	})
	to := <-remote
	server, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.(*net.TCPConn).CloseWrite(); err != nil { // the client is in CLOSE_WAIT
		t.Fatal(err)
	}
	defer server.Close()
	walk := func(each func(*Socket)) ([]error, error) { return it.walker.walk(t.Context(), each) }
	leaktest.Eventually(t, time.Minute, func() (bool, string) {
		found := closeWaits(t, walk, os.Getpid())[to]
		return len(found) == 1 && found[0].Cookieless == ofThread, fmt.Sprintf("%+v, want one without cookie", found)
	})
	all := func(each func(*Socket)) ([]error, error) { return it.Sockets(t.Context(), each) }
	if found := closeWaits(t, all, os.Getpid())[to]; len(found) != 1 || found[0].Cookie == 0 {
		t.Errorf("%+v, want one with a cookie", found)
	}
}

// inThread runs a function on a thread that is not the main one and ends afterwards.
func inThread(do func()) {
	runtime.LockOSThread()
	if unix.Gettid() != os.Getpid() {
		do()
		return
	}
	defer runtime.UnlockOSThread()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		inThread(do)
	}()
	<-ended
}

// TestTablesOfAnySizeAreWalkedToTheEnd makes more records than fit the array, and more descriptors
// than one run of the program visits.
func TestTablesOfAnySizeAreWalkedToTheEnd(t *testing.T) {
	leaktest.RequireRoot(t)
	const room, run = 1024, 8192 // MAX_RECORDS and CHUNK * CHUNKS in walk.h
	listener := listen(t, "127.0.0.1:0", false)
	it := opened(t, objectProgWalk)
	c := connect(t, listener)
	closeWrite(t, c.client)
	awaitEnd(t, c.server)
	file, err := c.server.File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	want := []uint32{fdOf(t, c.server), uint32(file.Fd())}
	for i := range 2*run + 10 {
		of := null
		if i < 2*room+5 || i > 2*run {
			of = file
		}
		fd, err := unix.FcntlInt(of.Fd(), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		if of == file {
			want = append(want, uint32(fd))
		}
	}
	all := func(each func(*Socket)) ([]error, error) { return it.Sockets(t.Context(), each) }
	for range 2 { // the cookie is assigned in the first pass at the latest
		var got []uint32
		for _, s := range closeWaits(t, all, os.Getpid())[remoteOf(c)] {
			got = append(got, s.Fd)
		}
		if slices.Sort(want); !slices.Equal(slices.Sorted(slices.Values(got)), want) {
			t.Errorf("%d descriptors of the socket, want %d", len(got), len(want))
		}
	}
	open, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	counted := false
	if _, err := it.Processes(t.Context(), func(p *Process) {
		if int(p.Pid) != os.Getpid() || p.Thread != p.Pid {
			return
		}
		var n uint64
		// descriptors of the directory and of running iterators come and go
		if n, counted = it.OpenDescriptors(p); int(n) < len(open)-2 || int(n) > len(open)+2 {
			t.Errorf("%d open descriptors, want about %d", n, len(open))
		}
	}); err != nil || !counted {
		t.Errorf("open descriptors counted: %v, %v", counted, err)
	}
}

func fdOf(t *testing.T, c *net.TCPConn) (n uint32) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) { n = uint32(fd) }); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestRecordsOfBusyProcessesAreNeverMixedUp walks while sockets, files and slots are freed and used
// again, on two sides: each process accepts connections on ports of its own.
func TestRecordsOfBusyProcessesAreNeverMixedUp(t *testing.T) {
	leaktest.RequireRoot(t)
	const leaked, rounds = 20, 3000
	busy := leaktest.StartMany(t, 2, fmt.Sprintf("--sockets=%d", leaked), "--churn=1000")
	it := opened(t, objectProgWalk)
	owner := map[uint16]uint32{} // of a port
	sockets := func(each func(*Socket)) {
		malformed, err := it.walker.walk(t.Context(), func(s *Socket) {
			if int(s.Pid) == busy[0].PID || int(s.Pid) == busy[1].PID {
				each(s)
			}
		})
		if err != nil || len(malformed) > 0 {
			t.Fatal(err, malformed)
		}
	}
	sockets(func(s *Socket) {
		if s.State == host.TCPListen {
			owner[s.LocalPort] = s.Pid
		}
	})
	shortLived := 0
	for range rounds {
		count := map[uint32]int{}
		sockets(func(s *Socket) {
			if s.State != host.TCPCloseWait {
				return
			}
			if owner[s.LocalPort] != s.Pid {
				t.Fatalf("process %d with a socket of process %d: %v and %v", s.Pid, owner[s.LocalPort], s.LocalAddress(), s.RemoteAddress())
			}
			if count[s.Pid]++; s.Cookieless != 0 {
				shortLived++
			}
		})
		for _, l := range busy {
			if n := count[uint32(l.PID)]; n < leaked {
				t.Fatalf("%d sockets of process %d, want at least %d", n, l.PID, leaked)
			}
		}
	}
	if shortLived == 0 {
		t.Error("no socket was in CLOSE_WAIT only for a moment: the test has tested nothing")
	}
}

func TestStatesAreTheLettersOfProc(t *testing.T) {
	for name, c := range map[string]struct {
		state uint32
		want  byte
	}{
		"running": {0, 'R'}, "sleeping": {1, 'S'}, "in uninterruptible sleep": {2, 'D'}, "stopped": {4, 'T'}, "traced": {8, 't'},
		"dead": {0x10, 'X'}, "a zombie": {0x20, 'Z'}, "a zombie that was about to die": {0x80 | 0x20, 'Z'}, "parked": {0x40, 'P'},
		"idle": {0x402, 'I'}, "killable": {0x102, 'D'}, "frozen": {0x8000, 'D'}, "waiting for a real-time lock": {0x1000, 'D'},
		"sleeping, and may be frozen": {0x2001, 'S'},
	} {
		t.Run(name, func(t *testing.T) {
			if got := (&Process{objectProcess{State: c.state}}).StateLetter(); got != c.want {
				t.Errorf("state %c, want %c", got, c.want)
			}
		})
	}
}
