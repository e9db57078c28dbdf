package e2e

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"closewait_exporter/internal/leaktest"
)

// foreign is a leaking program in some language. When it is ready it writes the port that it
// listens on, or 0, and it ends with its stdin.
type foreign struct {
	pid  int
	port uint16

	stdin  io.Writer
	stdout *bufio.Reader
}

// startForeign starts a foreign program, which is killed when it lives for minutes. It skips the
// test where the interpreter is missing.
func startForeign(t *testing.T, command ...string) foreign {
	t.Helper()
	return startForeignFor(t, 2*maxWait, command...) // a JVM starts slowly on a loaded machine
}

// startForeignFor is startForeign with a longer time after which the program is killed.
func startForeignFor(t *testing.T, lifetime time.Duration, command ...string) foreign {
	t.Helper()
	leaktest.RequireProgram(t, command[0])
	if command[0] == "java" {
		leaktest.RequireProgram(t, "javac") // java runs a source file with it
	}
	cmd := exec.Command(command[0], command[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill := time.AfterFunc(lifetime, func() { _ = cmd.Process.Kill() })
	t.Cleanup(func() {
		stdin.Close()
		_ = cmd.Wait()
		kill.Stop()
	})
	answers := bufio.NewReader(stdout)
	line, err := answers.ReadString('\n')
	if err != nil {
		_ = cmd.Wait()
		t.Fatalf("%v is not ready: %v\n%s", command, err, &stderr)
	}
	port, err := strconv.ParseUint(strings.TrimSpace(line), 10, 16)
	if err != nil {
		t.Fatalf("%v: %v", command, err)
	}
	return foreign{cmd.Process.Pid, uint16(port), stdin, answers}
}

// ask sends a line to a program and returns the numbers that it answers.
func (p foreign) ask(t *testing.T, command string) []int64 {
	t.Helper()
	if _, err := fmt.Fprintln(p.stdin, command); err != nil {
		t.Fatalf("send %q to process %d: %v", command, p.pid, err)
	}
	line, err := p.stdout.ReadString('\n')
	if err != nil {
		t.Fatalf("%s: process %d has ended: %v", command, p.pid, err)
	}
	var numbers []int64
	for field := range strings.FieldsSeq(line) {
		number, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			t.Fatalf("%s: process %d answers %q", command, p.pid, line)
		}
		numbers = append(numbers, number)
	}
	return numbers
}

// family returns the pids of the program and its children.
func (p foreign) family(t *testing.T) []int {
	t.Helper()
	pids := []int{p.pid}
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", p.pid))
	must(t, err)
	for _, list := range lists {
		children, _ := os.ReadFile(list) // empty if the thread has ended
		for child := range strings.FieldsSeq(string(children)) {
			pid, err := strconv.Atoi(child)
			must(t, err)
			pids = append(pids, pid)
		}
	}
	return pids
}

// requestAndClose is a client that sends a request, waits for the answer and closes.
func requestAndClose(t *testing.T, host string, port uint16) {
	t.Helper()
	connection := request(t, host, port)
	if _, err := bufio.NewReader(connection).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	connection.Close()
}

// requestAndHalfClose is a client that sends a request, closes its half and reads until the test
// ends.
func requestAndHalfClose(t *testing.T, host string, port uint16) { stream(t, host, port) }

// stream is requestAndHalfClose for halfclose.py. It returns a function that returns the latest
// time that the server has sent; the server sent it at that time or later.
func stream(t *testing.T, host string, port uint16) (latest func() time.Time) {
	t.Helper()
	connection := request(t, host, port)
	if err := connection.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	var nanoseconds atomic.Int64
	read := make(chan struct{})
	go func() {
		defer close(read)
		for lines := bufio.NewScanner(connection); lines.Scan(); {
			if n, err := strconv.ParseInt(lines.Text(), 10, 64); err == nil {
				nanoseconds.Store(n)
			}
		}
	}()
	t.Cleanup(func() { connection.Close(); <-read })
	return func() time.Time { return time.Unix(0, nanoseconds.Load()) }
}

// request connects and sends a line.
func request(t *testing.T, host string, port uint16) *net.TCPConn {
	t.Helper()
	connection, err := net.Dial("tcp", net.JoinHostPort(host, strconv.Itoa(int(port))))
	if err != nil {
		t.Fatal(err)
	}
	if err := connection.SetDeadline(time.Now().Add(2 * maxWait)); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintln(connection, "hello"); err != nil {
		t.Fatal(err)
	}
	return connection.(*net.TCPConn)
}

// pageSize is more than HTTP clients read at once, so that some of it stays unread, and fits into a
// receive buffer, so that the FIN arrives.
const pageSize = 32 << 10

// webServer is an HTTP server that closes each connection after the answer.
func webServer(t *testing.T) (url string, port uint16) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	page := bytes.Repeat([]byte("x"), pageSize)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close")
		_, _ = w.Write(page)
	})}
	served := make(chan struct{})
	go func() { defer close(served); _ = server.Serve(listener) }()
	t.Cleanup(func() { server.Close(); <-served })
	return "http://" + listener.Addr().String(), listener.Addr().(*net.TCPAddr).AddrPort().Port()
}
