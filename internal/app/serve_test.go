package app

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// timeout is the time limit for something that takes milliseconds.
const timeout = 20 * time.Second

// exporter is the running program.
type exporter struct {
	command *exec.Cmd
	address string
	log     []string // up to the line with the address
	rest    chan string
}

// start runs the program and returns when it listens.
func start(t *testing.T, command *exec.Cmd) *exporter {
	t.Helper()
	stderr, err := command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = command.Process.Kill(); _ = command.Wait() })
	deadline := time.AfterFunc(timeout, func() { _ = command.Process.Kill() })
	defer deadline.Stop()
	e := &exporter{command: command, rest: make(chan string, 1)}
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		e.log = append(e.log, lines.Text())
		if _, address, found := strings.Cut(lines.Text(), `msg="Listening on" address=`); found {
			e.address = address
			go func() {
				rest, _ := io.ReadAll(stderr)
				e.rest <- string(rest)
			}()
			return e
		}
	}
	t.Fatalf("it does not listen:\n%s", strings.Join(e.log, "\n"))
	return nil
}

func (e *exporter) get(t *testing.T, path string) (status int, body string) {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: timeout}
	answer, err := client.Get("http://" + e.address + path)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

// stop sends a signal and returns the exit status.
func (e *exporter) stop(t *testing.T, signal os.Signal) int {
	t.Helper()
	if err := e.command.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
	deadline := time.AfterFunc(timeout, func() { _ = e.command.Process.Kill() })
	defer deadline.Stop()
	rest := <-e.rest
	_ = e.command.Wait()
	if status := e.command.ProcessState.ExitCode(); status != 0 {
		t.Logf("end of its log:\n%s", rest)
		return status
	}
	return 0
}

func TestServesUntilASignal(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(signal.String(), func(t *testing.T) {
			e := start(t, exec.Command(program, "--web.listen-address=127.0.0.1:0"))
			for deadline := time.Now().Add(timeout); ; {
				status, body := e.get(t, "/-/ready")
				if status == http.StatusOK {
					break
				}
				if time.Now().After(deadline) {
					t.Fatalf("not ready without a scrape: %d %s", status, body)
				}
			}
			if status, body := e.get(t, "/metrics"); status != http.StatusOK || !strings.Contains(body, "\nclosewait_scan_success 1\n") {
				t.Errorf("status %d without success:\n%.2000s", status, body)
			}
			if status := e.stop(t, signal); status != 0 {
				t.Errorf("exit status %d, want 0", status)
			}
		})
	}
}

func TestThePageHasTrends(t *testing.T) {
	leak(t)
	e := start(t, exec.Command(program, "--web.listen-address=127.0.0.1:0", "--collector.min-age=0s"))
	if status, body := e.get(t, "/"); status != http.StatusOK || !strings.Contains(body, "RATE and LEFT") {
		t.Errorf("status %d, and nothing about trends:\n%s", status, body)
	}
	if status := e.stop(t, syscall.SIGTERM); status != 0 {
		t.Errorf("exit status %d, want 0", status)
	}
}

func TestTheStartLogSaysWhatCanBeSeen(t *testing.T) {
	e := start(t, exec.Command(program, "--web.listen-address=127.0.0.1:0", "--collector.scanner=procfs", "--collector.network-namespaces=own"))
	if log := strings.Join(e.log, "\n"); !strings.Contains(log, `msg="Scanning this host" scanner=procfs network_namespaces=own`) {
		t.Errorf("the log does not say it:\n%s", log)
	}
	if status := e.stop(t, syscall.SIGTERM); status != 0 {
		t.Errorf("exit status %d, want 0", status)
	}
}

func TestABusyPortIsAnErrorWithAdvice(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	output, err := exec.CommandContext(t.Context(), program, "--web.listen-address="+busy.Addr().String()).CombinedOutput()
	if err == nil || !strings.Contains(string(output), "address already in use: give --web.listen-address a free address") {
		t.Errorf("error %v:\n%s", err, output)
	}
}

func TestListensOnTheSocketThatSystemdPasses(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	file, err := listener.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	// The shell knows the pid that the program will have.
	command := exec.Command("sh", "-c", "LISTEN_PID=$$ LISTEN_FDS=1 exec "+program+" --web.systemd-socket")
	command.ExtraFiles = []*os.File{file}
	e := start(t, command)
	if e.address != listener.Addr().String() {
		t.Errorf("it listens on %s, want %s", e.address, listener.Addr())
	}
	if status, _ := e.get(t, "/-/healthy"); status != http.StatusOK {
		t.Errorf("healthy answers %d", status)
	}
	if status := e.stop(t, syscall.SIGTERM); status != 0 {
		t.Errorf("exit status %d, want 0", status)
	}
}

// leak makes a socket of this process enter CLOSE_WAIT and returns its address.
func leak(t *testing.T) net.Addr {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	client, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close(); _ = listener.Close() })
	_ = client.Close()
	if _, err := server.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Fatalf("the end of the connection did not arrive: %v", err)
	}
	return server.LocalAddr()
}

func TestListShowsALeakOfThisProcess(t *testing.T) {
	address := leak(t)
	output, err := exec.CommandContext(t.Context(), program, "list", "--output=json", "--sockets", "--collector.min-age=0s").Output()
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Processes []struct {
			PID, Sockets int
			Services     []struct {
				Direction string
				Port      int
			}
		}
		Sockets []struct {
			Local, Owner, Unread string
			Holders              []struct{ PID int }
		}
	}
	if err := json.Unmarshal(output, &got); err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, p := range got.Processes {
		if p.PID == os.Getpid() && p.Sockets == 1 && len(p.Services) == 1 && p.Services[0].Direction == "inbound" &&
			strings.HasSuffix(address.String(), fmt.Sprint(":", p.Services[0].Port)) {
			found++
		}
	}
	for _, s := range got.Sockets {
		if s.Local == address.String() && s.Owner == "process" && s.Unread == "none" && len(s.Holders) == 1 && s.Holders[0].PID == os.Getpid() {
			found++
		}
	}
	if found != 2 {
		t.Errorf("the socket %s of process %d is not listed as it is:\n%.5000s", address, os.Getpid(), output)
	}
}

func TestAScanThatHangsDoesNotDelayTheShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		started, release := time.Now(), make(chan struct{})
		if endsWithin(shutdownGrace, func() { <-release }) || time.Since(started) != shutdownGrace {
			t.Errorf("waited for %s, want %s", time.Since(started), shutdownGrace)
		}
		close(release)
		if !endsWithin(shutdownGrace, func() {}) {
			t.Error("a wait that ends at once counts as hanging")
		}
	})
}
