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
	"syscall"
	"testing"
	"time"

	"closewait_exporter/internal/leaktest"
)

// foreign is a leaking program that knows nothing of us. It writes the port that it listens on, 0
// where it does not, when it is ready, and ends with its stdin.
type foreign struct {
	pid  int
	port uint16
}

// startForeign starts such a program. It skips the test where its interpreter is missing.
func startForeign(t *testing.T, env []string, command ...string) foreign {
	t.Helper()
	leaktest.RequireProgram(t, command[0])
	if command[0] == "java" {
		leaktest.RequireProgram(t, "javac") // java runs a source file with it
	}
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = append(os.Environ(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var said bytes.Buffer
	cmd.Stderr = &said
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
	hurry := time.AfterFunc(2*patience, func() { _ = cmd.Process.Kill() }) // a JVM starts slowly on a busy machine
	t.Cleanup(func() {
		stdin.Close()
		_ = cmd.Wait()
		hurry.Stop()
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		_ = cmd.Wait()
		t.Fatalf("%v is not ready: %v\n%s", command, err, &said)
	}
	port, err := strconv.ParseUint(strings.TrimSpace(line), 10, 16)
	if err != nil {
		t.Fatalf("%v: %v", command, err)
	}
	return foreign{cmd.Process.Pid, uint16(port)}
}

// family is the program and its children.
func (p foreign) family(t *testing.T) []int {
	t.Helper()
	pids := []int{p.pid}
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", p.pid))
	must(t, err)
	for _, list := range lists {
		children, _ := os.ReadFile(list) // of a thread that has ended: of none
		for child := range strings.FieldsSeq(string(children)) {
			pid, err := strconv.Atoi(child)
			must(t, err)
			pids = append(pids, pid)
		}
	}
	return pids
}

// visit is a client that asks, waits for the answer and closes.
func visit(t *testing.T, host string, port uint16) {
	t.Helper()
	connection := converse(t, host, port)
	if _, err := bufio.NewReader(connection).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	connection.Close()
}

// halfClose is a client that asks, says that this was all, and reads for as long as the test runs.
func halfClose(t *testing.T, host string, port uint16) {
	t.Helper()
	connection := converse(t, host, port)
	if err := connection.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		_, _ = io.Copy(io.Discard, connection)
	}()
	t.Cleanup(func() { connection.Close(); <-read })
}

func converse(t *testing.T, host string, port uint16) *net.TCPConn {
	t.Helper()
	connection, err := net.Dial("tcp", net.JoinHostPort(host, strconv.Itoa(int(port))))
	if err != nil {
		t.Fatal(err)
	}
	if err := connection.SetDeadline(time.Now().Add(2 * patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintln(connection, "hello"); err != nil {
		t.Fatal(err)
	}
	return connection.(*net.TCPConn)
}

// pageSize is more than HTTP clients read at once, and less than a receive buffer, so that the
// end of the stream arrives.
const pageSize = 32 << 10

// webServer is a server whose connections end with the answer.
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

// play is the test binary in a role: so far a Go program that gets a page several times and never
// closes a body.
func play(role string) error {
	url, times, _ := strings.Cut(role, " ")
	n, err := strconv.Atoi(times)
	if err != nil {
		return err
	}
	var kept []*http.Response
	for range n {
		answer, err := http.Get(url)
		if err != nil {
			return err
		}
		kept = append(kept, answer)
	}
	fmt.Fprintln(os.Stdout, 0)
	_, err = io.Copy(io.Discard, os.Stdin)
	for _, answer := range kept {
		answer.Body.Close()
	}
	return err
}
