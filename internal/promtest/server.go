package promtest

import (
	"bufio"
	"io"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// maxWait bounds the wait for a server to listen or to answer; it is long enough for a loaded
// machine.
const maxWait = time.Minute

// listening matches the log message of all servers that use github.com/prometheus/exporter-toolkit.
var listening = regexp.MustCompile(`msg="Listening on".* address=(\S+)`)

// Start runs a server until the test ends, and returns the address that it logs. If the test fails,
// the log of the server is printed.
func Start(t testing.TB, command *exec.Cmd) (address string) {
	t.Helper()
	stderr, err := command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if command.SysProcAttr == nil {
		command.SysProcAttr = &syscall.SysProcAttr{}
	}
	command.SysProcAttr.Pdeathsig = syscall.SIGKILL // so that it ends when the test binary dies
	if err := command.Start(); err != nil {
		t.Fatalf("start %s: %v", command.Path, err)
	}
	listens, ended := make(chan string, 1), make(chan struct{})
	output := &Transcript{}
	go func() {
		defer close(ended)
		output.Record(stderr, listens)
		_ = command.Wait() // the error is that it was killed
	}()
	t.Cleanup(func() {
		_ = command.Process.Kill() // fails if it has ended already
		<-ended
		if t.Failed() {
			t.Logf("log of %s:\n%s", command.Path, output)
		}
	})
	select {
	case address = <-listens:
	case <-ended:
		t.Fatalf("%s ended before it listened", command.Path)
	case <-time.After(maxWait):
		t.Fatalf("%s does not listen after %v", command.Path, maxWait)
	}
	return address
}

// Transcript is the output of a program so far.
type Transcript struct {
	mu   sync.Mutex
	text strings.Builder
}

// Record reads to the end, and sends the first address that the program logs as the one it listens
// on.
func (s *Transcript) Record(from io.Reader, listens chan<- string) {
	for lines := bufio.NewReader(from); ; {
		line, err := lines.ReadString('\n')
		s.mu.Lock()
		s.text.WriteString(line)
		s.mu.Unlock()
		if err != nil {
			return
		}
		if found := listening.FindStringSubmatch(line); found != nil {
			select {
			case listens <- found[1]:
			default: // a further address
			}
		}
	}
}

// String returns all of it.
func (s *Transcript) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}
