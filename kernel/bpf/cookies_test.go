package bpf

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"closewait_exporter/internal/leaktest"
	"closewait_exporter/internal/leaktest/tcp"
)

func cookieOf(t *testing.T, c *leaktest.Connection) (cookie uint64) {
	t.Helper()
	raw, err := c.Server.SyscallConn()
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
	listener := leaktest.Listen(t, "tcp", "127.0.0.1:0")
	it := opened(t, objectProgWalk)
	var news []*leaktest.Connection
	for range 3 {
		c := leaktest.Connect(t, listener)
		c.HalfCloseClient()
		news = append(news, c)
	}
	walk := func(each func(*Socket)) ([]error, error) { return it.walker.walk(t.Context(), each) }
	atFirst := closeWaits(t, walk, os.Getpid())
	for _, c := range news {
		if s := atFirst[c.Remote()]; len(s) != 1 || s[0].Cookie != 0 || s[0].Cookieless != 1 {
			t.Errorf("%v at first: %+v, want one without cookie", c.Remote(), s)
		}
	}
	all := func(each func(*Socket)) ([]error, error) { return it.Sockets(t.Context(), each) }
	for range 2 {
		found := closeWaits(t, all, os.Getpid())
		for _, c := range news {
			if s := found[c.Remote()]; len(s) != 1 || s[0].Cookie != cookieOf(t, c) || s[0].Cookieless != 0 {
				t.Errorf("%v: %+v, want one with cookie %d", c.Remote(), s, cookieOf(t, c))
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
	listener := leaktest.Listen(t, "tcp", "127.0.0.1:0")
	it := opened(t, objectProgWalk)
	c, other := leaktest.Connect(t, listener), leaktest.Connect(t, listener)
	for _, c := range []*leaktest.Connection{c, other} {
		c.HalfCloseClient()
	}
	walk := func(each func(*Socket)) ([]error, error) { return it.walker.walk(t.Context(), each) }
	inode := closeWaits(t, walk, os.Getpid())[c.Remote()][0].Inode
	for _, processes := range []int{1, manyProcesses + 1} {
		cookieless := map[heldSocket]uint8{{uint32(os.Getpid()), inode}: 1}
		for unused := uint32(1 << 30); len(cookieless) < processes; unused++ {
			cookieless[heldSocket{unused, inode}] = 1
		}
		assign := func(each func(*Socket)) ([]error, error) { return it.assignCookies(t.Context(), cookieless, each) }
		found := closeWaits(t, assign, os.Getpid())
		if s := found[c.Remote()]; len(found) != 1 || len(s) != 1 || s[0].Cookie != cookieOf(t, c) {
			t.Errorf("of %d processes: %+v, want one with cookie %d", processes, found, cookieOf(t, c))
		}
	}
}

// TestNewSocketsInATableOfAThreadGetCookies makes a descriptor that the leader of the process does
// not have.
func TestNewSocketsInATableOfAThreadGetCookies(t *testing.T) {
	leaktest.RequireRoot(t)
	listener := leaktest.Listen(t, "tcp", "127.0.0.1:0")
	it := opened(t, objectProgWalk)
	remote := make(chan netip.AddrPort)
	done := make(chan struct{})
	defer close(done)
	go inThread(func() {
		if err := unix.Unshare(unix.CLONE_FILES); err != nil {
			t.Error(err)
		}
		to := listener.Addr().(*net.TCPAddr).AddrPort()
		if _, _, err := tcp.Connect(netip.Addr{}, to, unix.IPPROTO_TCP); err != nil { // the descriptor is closed with the table
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
