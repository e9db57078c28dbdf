package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"closewait_exporter/internal/leaktest"
)

// TestDiagnoseFindsProcessesThatWaitForThemselves lets both threads of a pool call the server
// itself. Both have a half of a request before either gets the rest.
func TestDiagnoseFindsProcessesThatWaitForThemselves(t *testing.T) {
	leaktest.RequireRoot(t)
	for _, tt := range []struct {
		name           string
		command        []string
		first, rest    string
		runtime, stack string
	}{
		{"Python", []string{"python3", "testdata/python/selfcall.py"}, "", "hello\n", "python", "py-spy dump"},
		{"Java", []string{"java", javaQuick, "testdata/java/SelfCall.java"}, "GET /outer HTTP/1.1\r\n", "Host: x\r\n\r\n", "java", "jstack"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := startForeign(t, tt.command...)
			var clients []*net.TCPConn
			for range 2 {
				clients = append(clients, dial(t, p.port, tt.first))
			}
			awaitReaders(t, p.pid, p.port, 2)
			for _, c := range clients {
				_, err := c.Write([]byte(tt.rest))
				must(t, err)
			}
			d := awaitVerdict(t, p.pid, "waits_for_itself", "2 requests to its own port "+strconv.Itoa(int(p.port)), "2 of ", tt.stack)
			if d.Process.Runtime != tt.runtime {
				t.Errorf("runtime %s, want %s", d.Process.Runtime, tt.runtime)
			}
			inner := d.Process.Runtime == "java"
			if d := diagnosed(t, strconv.Itoa(p.pid), "--peek"); inner && !slices.Contains(d.Unread, unreadLine{2, "from_itself", "GET /inner HTTP/1.1"}) {
				t.Errorf("unread is %+v, want the requests of the server to itself", d.Unread)
			}
			for _, c := range clients { // the clients give up: the deadlock stays
				c.Close()
			}
			if d := diagnosed(t, strconv.Itoa(p.pid)); d.Verdict.Kind != "waits_for_itself" {
				t.Errorf("verdict %+v after the clients have gone", d)
			}
		})
	}
}

// awaitReaders waits until threads of the process are in a read of connections to its port.
func awaitReaders(t *testing.T, pid int, port uint16, n int) {
	t.Helper()
	leaktest.Eventually(t, maxWait, func() (bool, string) {
		out, err := exec.Command(program(t), "diagnose", strconv.Itoa(pid), "--output=json").Output()
		if failed := new(exec.ExitError); err != nil && !errors.As(err, &failed) {
			t.Fatal(err)
		}
		var d struct {
			Threads []struct {
				Still bool
				Local *string
			}
		}
		must(t, json.Unmarshal(out, &d))
		reading := 0
		for _, thread := range d.Threads {
			if thread.Still && thread.Local != nil && strings.HasSuffix(*thread.Local, fmt.Sprint(":", port)) {
				reading++
			}
		}
		return reading >= n, fmt.Sprintf("%d of %d threads read: %s", reading, n, out)
	})
}

// dial connects to a server and sends a text.
func dial(t *testing.T, port uint16, text string) *net.TCPConn {
	t.Helper()
	connection, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	must(t, err)
	t.Cleanup(func() { connection.Close() })
	_, err = connection.Write([]byte(text))
	must(t, err)
	return connection.(*net.TCPConn)
}

// silentServer accepts connections, and neither answers nor closes them before the test ends.
func silentServer(t *testing.T) (port uint16) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			defer connection.Close()
		}
	}()
	t.Cleanup(func() { listener.Close(); <-done })
	return uint16(listener.Addr().(*net.TCPAddr).Port)
}

func TestDiagnoseFindsProcessesThatWaitForAnother(t *testing.T) {
	leaktest.RequireRoot(t)
	backend := silentServer(t)
	p := startForeign(t, "python3", "testdata/python/backend.py", strconv.Itoa(int(backend)))
	for range 5 { // three for the threads, and two that wait
		dial(t, p.port, "hello")
	}
	awaitVerdict(t, p.pid, "waits_for_peer", fmt.Sprintf("127.0.0.1:%d", backend), fmt.Sprintf("process %d (", os.Getpid()), "3 of 4 threads", "Accept queue")
}

func TestDiagnoseFindsProxiesWhoseOtherSideDoesNotClose(t *testing.T) {
	leaktest.RequireRoot(t)
	p := startForeign(t, "python3", "testdata/python/proxy.py", strconv.Itoa(int(silentServer(t))))
	for range 3 {
		dial(t, p.port, "hello\n").Close()
	}
	awaitVerdict(t, p.pid, "half_close_proxy", "3 with the end read", "3 sockets are in FIN_WAIT2")
}

// TestDiagnoseFindsThatTheAcceptLoopReadsFromASilentClient has a program in C, without frame
// pointers or symbols that anything here would need.
func TestDiagnoseFindsThatTheAcceptLoopReadsFromASilentClient(t *testing.T) {
	leaktest.RequireRoot(t)
	server := filepath.Join(t.TempDir(), "oneatatime")
	compile(t, "testdata/c/oneatatime.c", server, "-O2", "-pthread")
	p := startForeign(t, server)
	for range 3 {
		dial(t, p.port, "")
	}
	awaitVerdict(t, p.pid, "accept_queue", "2 wait", "is in read() on a connection of a client", "gdb -p")
}

// TestDiagnoseNamesTheWorkersThatHaveToAccept has a master that only keeps the listener.
func TestDiagnoseNamesTheWorkersThatHaveToAccept(t *testing.T) {
	leaktest.RequireRoot(t)
	p := startForeign(t, "python3", "testdata/python/master.py")
	dial(t, p.port, "hello")
	worker := strconv.Itoa(p.family(t)[1])
	d := awaitVerdict(t, p.pid, "accept_queue", "Other processes hold this listener", worker)
	if d.Verdict.Confidence != "possible" {
		t.Errorf("confidence %s, want possible", d.Verdict.Confidence)
	}
}

func TestDiagnoseFindsNodeThatDoesNotEndItsHalf(t *testing.T) {
	leaktest.RequireRoot(t)
	p := startForeign(t, "node", "testdata/node/halfopen.js")
	for range 3 {
		requestAndClose(t, "127.0.0.1", p.port)
	}
	awaitVerdict(t, p.pid, "never_closes", "3 with the end read", "node inspect")
}
