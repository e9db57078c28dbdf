package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"closewait_exporter/internal/leaktest"
)

func TestDiagnoseFindsThatNoDescriptorIsLeft(t *testing.T) {
	leaktest.RequireRoot(t)
	const limit = 24
	p := startForeign(t, leaktest.RequireProgram(t, "prlimit"), "--nofile="+strconv.Itoa(limit), "python3", "testdata/python/unread.py")
	for range limit {
		dial(t, p.port, "hello").Close()
	}
	d := awaitVerdict(t, p.pid, "out_of_descriptors", fmt.Sprintf("of %d)", limit), "ended sockets")
	if d.Verdict.Confidence != "sure" {
		t.Errorf("confidence %s, want sure", d.Verdict.Confidence)
	}
}

func TestDiagnoseFindsAThreadThatIsBlockedInTheKernel(t *testing.T) {
	leaktest.RequireRoot(t)
	server := filepath.Join(t.TempDir(), "vfork")
	compile(t, "testdata/c/vfork.c", server, "-O2", "-pthread")
	p := startForeign(t, server)
	for range 3 {
		dial(t, p.port, "hello").Close()
	}
	awaitVerdict(t, p.pid, "uninterruptible", "1 thread of 3 is blocked in the kernel", "/stack", "3 with data unread")
}

// TestDiagnoseFindsWhatClientsKeep has clients in Python.
func TestDiagnoseFindsWhatClientsKeep(t *testing.T) {
	leaktest.RequireRoot(t)
	for _, tt := range []struct {
		how, kind, says string
		port            func(*testing.T) uint16
	}{
		{"pool", "idle_pool", "12 with only the end unread", serverOfIdleConnections},
		{"shutdown", "peer_keeps_open", "12 connections", silentServer},
		{"refused", "unconnected", "12 sockets", unusedPort},
	} {
		t.Run(tt.how, func(t *testing.T) {
			t.Parallel()
			if tt.kind == "unconnected" && !sees(t, "unconnected") {
				t.Skip("the scanner does not see sockets that were never connected")
			}
			p := startForeign(t, "python3", "testdata/python/client.py", tt.how, strconv.Itoa(int(tt.port(t))))
			awaitVerdict(t, p.pid, tt.kind, tt.says)
		})
	}
}

// serverOfIdleConnections is a web server that closes connections which are idle.
func serverOfIdleConnections(t *testing.T) (port uint16) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	server := &http.Server{IdleTimeout: 100 * time.Millisecond, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "hello") })}
	served := make(chan struct{})
	go func() { defer close(served); _ = server.Serve(listener) }()
	t.Cleanup(func() { server.Close(); <-served })
	return listener.Addr().(*net.TCPAddr).AddrPort().Port()
}

// unusedPort is a port on which no program listens.
func unusedPort(t *testing.T) (port uint16) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).AddrPort().Port()
}

// sees reports whether list sees all sockets in a state here.
func sees(t *testing.T, state string) bool {
	t.Helper()
	out, _ := listOutput(t, nil, "--output=json", "--collector.min-age=0s")
	var got struct {
		Host struct {
			Complete []string `json:"complete_states"`
		}
	}
	must(t, json.Unmarshal(out, &got))
	return slices.Contains(got.Host.Complete, state)
}

// TestDiagnoseFindsWhoHoldsCopies has a master that passes connections to a worker, and both keep
// them; and a process that was given all of them.
func TestDiagnoseFindsWhoHoldsCopies(t *testing.T) {
	leaktest.RequireRoot(t)
	t.Run("both keep them", func(t *testing.T) {
		t.Parallel()
		p := startForeign(t, "python3", "testdata/python/acceptor.py")
		for range 3 {
			requestAndClose(t, "127.0.0.1", p.port)
		}
		family := p.family(t)
		awaitVerdict(t, p.pid, "shared", fmt.Sprintf("Other holders: pid %d", family[1]))
		awaitVerdict(t, family[1], "shared", fmt.Sprintf("Other holders: pid %d", p.pid))
	})
	t.Run("only the receiver has them", func(t *testing.T) {
		t.Parallel()
		leak := leaktest.Start(t, "--sockets=3", "--unread=none", "--pass")
		awaitVerdict(t, leak.Children[0], "never_closes", "It holds no listener on port")
	})
}

// TestDiagnoseFindsGoroutinesThatWaitForThemselves has a semaphore with two places. Threads say
// nothing about goroutines, and the requests are read before they wait.
func TestDiagnoseFindsGoroutinesThatWaitForThemselves(t *testing.T) {
	leaktest.RequireRoot(t)
	const places = 2
	p := startForeign(t, leaktest.Build(t), "self-call", strconv.Itoa(places))
	for range places {
		dial(t, p.port, "GET /outer HTTP/1.1\r\nHost: x\r\n\r\n").Close()
	}
	d := awaitVerdict(t, p.pid, "waits_for_itself", fmt.Sprintf("2 requests to its own port %d are read, and not answered", p.port), "pprof/goroutine")
	if d.Verdict.Confidence != "possible" {
		t.Errorf("confidence %s, want possible", d.Verdict.Confidence)
	}
}

// TestDiagnoseFindsThatAProcessIsFrozen has each kind of cgroup that can freeze a process. In
// version 1 its threads look as if they were blocked in the kernel.
func TestDiagnoseFindsThatAProcessIsFrozen(t *testing.T) {
	leaktest.RequireRoot(t)
	for name, freezer := range map[string]struct {
		mounts             []string
		file, freeze, melt string
	}{
		"version 1": {[]string{"/sys/fs/cgroup/freezer"}, "freezer.state", "FROZEN", "THAWED"},
		"version 2": {[]string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"}, "cgroup.freeze", "1", "0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			group := cgroupWith(t, freezer.mounts, freezer.file)
			leak := leaktest.Start(t, "--sockets=2", "--unread=none")
			write := func(file, text string) { must(t, os.WriteFile(filepath.Join(group, file), []byte(text), 0)) }
			write("cgroup.procs", strconv.Itoa(leak.PID))
			t.Cleanup(func() { write(freezer.file, freezer.melt) })
			write(freezer.file, freezer.freeze)
			d := awaitVerdict(t, leak.PID, "halted", "frozen by its cgroup")
			if d.Verdict.Confidence != "sure" {
				t.Errorf("confidence %s, want sure", d.Verdict.Confidence)
			}
		})
	}
}

// cgroupWith makes a cgroup with a control file, below one of the mounts. It is removed when the
// test ends. The test is skipped where that is not possible.
func cgroupWith(t *testing.T, mounts []string, file string) string {
	t.Helper()
	for _, mount := range mounts {
		if _, err := os.Stat(filepath.Join(mount, "cgroup.procs")); err != nil {
			continue // it is no cgroup, and has room for directories of any kind
		}
		group, err := os.MkdirTemp(mount, "closewait-test-")
		if err != nil {
			continue
		}
		t.Cleanup(func() {
			leaktest.Eventually(t, maxWait, func() (bool, string) { err := os.Remove(group); return err == nil, fmt.Sprint(err) })
		})
		if _, err := os.Stat(filepath.Join(group, file)); err == nil {
			return group
		}
	}
	t.Skipf("no cgroup with %s can be made here", file)
	return ""
}
