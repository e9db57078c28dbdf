package scan_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"closewait_exporter/internal/leaktest/tcp"
)

// blockedProcess is the test binary in blockedRole.
type blockedProcess struct {
	pid int
	in  io.Writer
}

// startBlocked starts a process that holds a socket in CLOSE_WAIT and has a page of the file in
// memory.
func startBlocked(t *testing.T, file string) blockedProcess {
	t.Helper()
	cmd := exec.Command("/proc/self/exe", file)
	cmd.Env = append(os.Environ(), roleVariable+"="+blockedRole, "GORACE=atexit_sleep_ms=0")
	stderr := new(strings.Builder) // the write after the thaw causes a page fault
	cmd.Stderr = stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // the thaw has been: cleanups run last first
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		_ = cmd.Wait()
		t.Fatalf("the process says %q: %v\n%s", line, err, stderr)
	}
	return blockedProcess{cmd.Process.Pid, in}
}

const blockedRole = "blocked"

// block leaks a socket, maps a page, and when it reads a line it writes to the page and unmaps it
// at the same time.
func block(file string, commands io.Reader) error {
	socket, err := leakSocket()
	if err != nil {
		return err
	}
	defer unix.Close(socket)
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	size := os.Getpagesize()
	if err := f.Truncate(int64(size)); err != nil {
		return err
	}
	page, err := unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return err
	}
	first := page[0] // so that the page is in memory
	fmt.Fprintln(os.Stdout, "ready")
	if _, err := bufio.NewReader(commands).ReadString('\n'); err != nil {
		return err
	}
	writing := make(chan struct{})
	go func() {
		close(writing)
		page[0] = first + 1
	}()
	<-writing
	if err := awaitBlockedThread(); err != nil {
		return err
	}
	return unix.Munmap(page)
}

// leakSocket returns the descriptor of a socket in CLOSE_WAIT.
func leakSocket() (int, error) {
	listener, address, err := tcp.Listen(netip.MustParseAddrPort("127.0.0.1:0"), false, unix.IPPROTO_TCP)
	if err != nil {
		return -1, err
	}
	defer unix.Close(listener)
	client, _, err := tcp.Connect(netip.Addr{}, address, unix.IPPROTO_TCP)
	if err != nil {
		return -1, err
	}
	server, _, err := tcp.Accept([]int{listener})
	return server, errors.Join(err, tcp.CloseAll([]int{client}))
}

// awaitBlockedThread returns when a thread of this process is in uninterruptible sleep.
func awaitBlockedThread() error {
	for deadline := time.Now().Add(timeout); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		stats, err := filepath.Glob("/proc/self/task/*/stat")
		if err != nil {
			return err
		}
		for _, name := range stats {
			stat, err := os.ReadFile(name)
			if i := bytes.LastIndexByte(stat, ')'); err == nil && bytes.HasPrefix(stat[i+1:], []byte(" D ")) {
				return nil
			}
		}
	}
	return errors.New("no thread is blocked by the frozen file system")
}
