package inspect

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"closewait_exporter/closewait"
	"closewait_exporter/diagnose"
	"closewait_exporter/internal/leaktest"
)

const secretRequest = "GET /search?q=secret HTTP/1.1\r\nCookie: secret\r\n\r\n"

// unreader is what the role unreader says of itself.
type unreader struct {
	Port      int
	HasOffset bool // whether the last connection has SO_PEEK_OFF
}

// acceptAndRead accepts three connections, sets SO_PEEK_OFF for the third, and reads all of them
// when it gets a line: it writes what it has read.
func acceptAndRead() error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	out := json.NewEncoder(os.Stdout)
	if err := out.Encode(unreader{Port: listener.Addr().(*net.TCPAddr).Port}); err != nil {
		return err
	}
	var connections []*net.TCPConn
	for range 3 {
		c, err := listener.Accept()
		if err != nil {
			return err
		}
		connections = append(connections, c.(*net.TCPConn))
	}
	peeks, err := connections[2].File()
	if err != nil {
		return err
	}
	offset := unix.SetsockoptInt(int(peeks.Fd()), unix.SOL_SOCKET, unix.SO_PEEK_OFF, 0)
	peeks.Close()
	if err := out.Encode(unreader{HasOffset: offset == nil}); err != nil {
		return err
	}
	if _, err := os.Stdin.Read(make([]byte, 1)); err != nil {
		return err
	}
	for _, c := range connections {
		data, err := io.ReadAll(c)
		if err != nil {
			return err
		}
		if err := out.Encode(string(data)); err != nil {
			return err
		}
	}
	_, err = os.Stdin.Read(make([]byte, 1))
	return err
}

// readWithLock receives into memory that never arrives, and so keeps a socket locked.
func readWithLock() error {
	page, err := unservedMemory()
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	client, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		return err
	}
	server, err := listener.Accept()
	if err != nil {
		return err
	}
	f, err := server.(*net.TCPConn).File()
	if err != nil {
		return err
	}
	if _, err := client.Write([]byte(secretRequest)); err != nil {
		return err
	}
	go func() {
		runtime.LockOSThread()
		_, _ = unix.Read(int(f.Fd()), page)
	}()
	fmt.Println("{}")
	_, err = os.Stdin.Read(make([]byte, 1))
	return err
}

// TestAPeekShowsTheFirstUnreadLineAndTakesNothing peeks several times, and then lets the program
// read. Two connections have ended, and one is open. The last one is peeked at by the program, with
// an offset that a peek of others would move.
func TestAPeekShowsTheFirstUnreadLineAndTakesNothing(t *testing.T) {
	leaktest.RequireRoot(t)
	var server unreader
	target := start(t, "unreader", &server)
	var sent []string
	var clients []*net.TCPConn
	for i := range 3 {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", server.Port))
		must(t, err)
		defer c.Close()
		clients = append(clients, c.(*net.TCPConn))
		sent = append(sent, secretRequest+strings.Repeat("x", 3*peekSize*i))
		_, err = c.Write([]byte(sent[i]))
		must(t, err)
	}
	must(t, clients[0].CloseWrite())
	must(t, clients[2].CloseWrite())
	must(t, target.answers.Decode(&server))
	const line = "GET /search... HTTP/1.1"
	want := []diagnose.UnreadLine{{Sockets: 1, Whose: diagnose.UnreadOnEnded, Line: line}, {Sockets: 1, Whose: diagnose.UnreadOnOpen, Line: line}}
	if !server.HasOffset { // before Linux 6.9, TCP has no SO_PEEK_OFF
		want[0].Sockets++
	}
	r := reader(t, "memory")
	r.ChildTime, r.Peek = soon/2, true
	for range 3 {
		f, err := r.Read(t.Context(), &closewait.Process{ID: target.id})
		must(t, err)
		if got := diagnose.UnreadLines(f); !slices.Equal(got, want) {
			t.Fatalf("%+v, want %+v; missing is %q", got, want, f.Missing)
		}
		refused := slices.ContainsFunc(f.Missing, func(line string) bool { return strings.Contains(line, "SO_PEEK_OFF") })
		if refused != server.HasOffset {
			t.Errorf("missing is %q", f.Missing)
		}
	}
	must(t, clients[1].CloseWrite())
	_, err := target.stdin.Write([]byte("\n"))
	must(t, err)
	for i := range sent {
		var read string
		must(t, target.answers.Decode(&read))
		if read != sent[i] {
			t.Errorf("connection %d: the program has read %d bytes, want the %d that were sent", i, len(read), len(sent[i]))
		}
	}
}

func TestWithoutPeekNoUnreadLineIsRead(t *testing.T) {
	leaktest.RequireRoot(t)
	var server unreader
	target := start(t, "unreader", &server)
	c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", server.Port))
	must(t, err)
	defer c.Close()
	_, err = c.Write([]byte(secretRequest))
	must(t, err)
	leaktest.Eventually(t, soon, func() (bool, string) {
		f, err := reader(t, "memory").Read(t.Context(), &closewait.Process{ID: target.id})
		must(t, err)
		if f.Peeked || len(diagnose.UnreadLines(f)) > 0 {
			t.Fatalf("%+v", diagnose.UnreadLines(f))
		}
		return slices.ContainsFunc(f.Sockets, func(s diagnose.Socket) bool { return s.HasUnreadData() }), fmt.Sprintf("%+v", f.Sockets)
	})
}

// TestALockedSocketIsGivenUp has a thread that receives into memory which never arrives, and so
// keeps the lock of the socket for which others, such as a peek, wait in the kernel.
func TestALockedSocketIsGivenUp(t *testing.T) {
	leaktest.RequireRoot(t)
	var ready struct{}
	target := start(t, "locked", &ready)
	r := reader(t, "memory")
	r.Peek = true
	leaktest.Eventually(t, soon, func() (bool, string) {
		f, err := r.Read(t.Context(), &closewait.Process{ID: target.id})
		must(t, err)
		return slices.ContainsFunc(f.Missing, func(line string) bool { return strings.Contains(line, "no answer in time") }),
			fmt.Sprintf("missing is %q, %+v", f.Missing, f.Sockets)
	})
}
