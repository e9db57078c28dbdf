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

// patience is how long a server may take to listen, or to answer, on a busy machine.
const patience = time.Minute

// listening is how all say it that serve with github.com/prometheus/exporter-toolkit.
var listening = regexp.MustCompile(`msg="Listening on".* address=(\S+)`)

// Start runs a server until the test ends, and returns the address that it says it listens on. What it
// said is told where the test has failed.
func Start(t testing.TB, command *exec.Cmd) (address string) {
	t.Helper()
	stderr, err := command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if command.SysProcAttr == nil {
		command.SysProcAttr = &syscall.SysProcAttr{}
	}
	command.SysProcAttr.Pdeathsig = syscall.SIGKILL // nothing stays behind when the test binary dies
	if err := command.Start(); err != nil {
		t.Fatalf("start %s: %v", command.Path, err)
	}
	listens, ended := make(chan string, 1), make(chan struct{})
	said := &Transcript{}
	go func() {
		defer close(ended)
		said.Take(stderr, listens)
		_ = command.Wait() // it was killed: the error says so
	}()
	t.Cleanup(func() {
		_ = command.Process.Kill() // has ended already: nothing to do
		<-ended
		if t.Failed() {
			t.Logf("%s said:\n%s", command.Path, said)
		}
	})
	select {
	case address = <-listens:
	case <-ended:
		t.Fatalf("%s has ended before it listened", command.Path)
	case <-time.After(patience):
		t.Fatalf("%s does not listen after %v", command.Path, patience)
	}
	return address
}

// Transcript is what a program has said so far.
type Transcript struct {
	mu   sync.Mutex
	text strings.Builder
}

// Take reads to the end, and hands over the first address that the program says it listens on.
func (s *Transcript) Take(from io.Reader, listens chan<- string) {
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
			default: // a further one
			}
		}
	}
}

// String is all of it.
func (s *Transcript) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}
