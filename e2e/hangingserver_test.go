package e2e

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"closewait_exporter/internal/leaktest"
)

// hangingServer is a server of some language that answers each connection once and never closes it.
// It answers the command count with the number of its connections, and the command close with the
// number of connections that it has closed, and its clock before and after.
type hangingServer struct {
	foreign
	language  string
	keepalive bool
	unread    string // class of its sockets in CLOSE_WAIT

	mu    sync.Mutex
	ended []end // of its connections, in order
}

// interval bounds a time that is not known exactly.
type interval struct{ from, to time.Time }

// end is when a client has closed its connection.
type end struct {
	interval
	client string // its address
}

// language says how to start a server. The first command has the default settings of the language,
// the second has keepalive, or has it not if that is the default.
type language struct {
	name              string
	byDefault, other  []string
	keepsAliveDefault bool
	unread            string
}

func languages(t *testing.T) []language {
	t.Helper()
	command := func(words ...string) []string { return words }
	leak, c := leaktest.Build(t), filepath.Join(t.TempDir(), "hang")
	return []language{
		{"Go", command(leak, "http-server"), command(leak, "http-server", "--no-keepalive"), true, "none"},
		{"Java", command("java", javaQuick, "testdata/java/Hang.java"), command("java", javaQuick, "testdata/java/Hang.java", "keepalive"), false, "fin"},
		{"Python", command("python3", "testdata/python/hang.py"), command("python3", "testdata/python/hang.py", "keepalive"), false, "fin"},
		{"Node", command("node", "testdata/node/hang.js"), command("node", "testdata/node/hang.js", "keepalive"), false, "none"},
		{"C", command(c), command(c, "keepalive"), false, "fin"},
	}
}

// start starts the server of a language with or without its default settings.
func (l language) start(t *testing.T, byDefault bool) *hangingServer {
	t.Helper()
	command := l.other
	if byDefault {
		command = l.byDefault
	}
	if l.name == "C" {
		compile(t, "testdata/c/hang.c", command[0])
	}
	return &hangingServer{foreign: startForeignFor(t, time.Hour, command...), language: l.name, keepalive: l.keepsAliveDefault == byDefault, unread: l.unread}
}

func compile(t *testing.T, source, program string, flags ...string) {
	t.Helper()
	arguments := append([]string{"-Wall", "-Werror", "-o", program, source}, flags...)
	if out, err := exec.Command(leaktest.RequireProgram(t, "gcc"), arguments...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// String names the server in messages.
func (s *hangingServer) String() string {
	if s.keepalive {
		return s.language + " with keepalive"
	}
	return s.language + " without keepalive"
}

// leak makes a client that sends a request, waits for the answer and closes. That is the end of the
// connection. Each client has an address of its own: one that comes again from the same address and
// port resets the socket that was leaked before.
func (s *hangingServer) leak() error {
	const addresses = 250
	n := len(s.ends())
	client := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 1, byte(n/addresses), byte(1+n%addresses))}, Timeout: maxWait}
	connection, err := client.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(int(s.port))))
	if err != nil {
		return fmt.Errorf("%v: %w", s, err)
	}
	defer connection.Close() // for the second time where nothing went wrong
	_ = connection.SetDeadline(time.Now().Add(maxWait))
	if _, err := connection.Write([]byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")); err != nil {
		return fmt.Errorf("%v: %w", s, err)
	}
	for answer, line := bufio.NewReader(connection), ""; line != "hello\n"; { // an unread rest would cause a reset
		if line, err = answer.ReadString('\n'); err != nil {
			return fmt.Errorf("%v: %w", s, err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e := end{client: connection.LocalAddr().String()}
	e.from = time.Now()
	err = connection.Close()
	e.to = time.Now()
	s.ended = append(s.ended, e)
	return err
}

// ends returns when the connections have ended so far.
func (s *hangingServer) ends() []end {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clip(s.ended)
}

// close lets the server close all its connections, and returns when it has done so by its own
// clock.
func (s *hangingServer) close(t *testing.T) interval {
	t.Helper()
	if n := s.ask(t, "count"); int(n[0]) != len(s.ends()) {
		t.Errorf("%v has %d connections, its clients have closed %d", s, n[0], len(s.ends()))
	}
	answer := s.ask(t, "close")
	if int(answer[0]) != len(s.ends()) {
		t.Errorf("%v has closed %d connections, its clients have closed %d", s, answer[0], len(s.ends()))
	}
	return interval{time.Unix(0, answer[1]), time.Unix(0, answer[2])}
}

// descriptors is the number of descriptors that the server has open.
func (s *hangingServer) descriptors(t *testing.T) int {
	t.Helper()
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.pid))
	must(t, err)
	return len(open)
}

// surely and possibly are the number of connections that have ended by a time, as bounds: the end
// of a connection takes a interval to reach the other side.
func surely(ends []end, by time.Time) int {
	return countFunc(ends, func(e end) bool { return e.to.Add(delivery).Before(by) })
}

func possibly(ends []end, by time.Time) int {
	return countFunc(ends, func(e end) bool { return !e.from.After(by) })
}

// delivery bounds how long a FIN takes over the loopback of a loaded machine.
const delivery = 250 * time.Millisecond

func countFunc[E any](list []E, f func(E) bool) (n int) {
	for _, e := range list {
		if f(e) {
			n++
		}
	}
	return n
}
