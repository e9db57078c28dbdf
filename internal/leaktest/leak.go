package leaktest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"closewait_exporter/internal/leaktest/truth"
)

// maxWait bounds the wait for an answer of a leaking program.
const maxWait = 60 * time.Second

// Socket is one leaked socket as the program reports it.
type Socket = truth.Socket

// Leak is a running cmd/leak. State is its last report, with pids as this process sees them.
type Leak struct {
	truth.State

	t       testing.TB
	cmd     *exec.Cmd
	stdin   *os.File
	answers <-chan answer
	errors  string // the file that holds its stderr
	pidNS   bool
	family  []process // the children, then the program itself
	stopped bool
}

type answer struct {
	line []byte
	err  error
}

// Start starts `leak server` with the given flags in the namespaces and with the rights of the
// test. It returns when all that was asked for exists. The program and its children end with the
// test at the latest, also when the test binary dies.
func Start(t testing.TB, args ...string) *Leak {
	t.Helper()
	return Where{}.Start(t, args...)
}

// StartMany starts n programs with the same flags in parallel.
func StartMany(t testing.TB, n int, args ...string) []*Leak {
	t.Helper()
	return Where{}.StartMany(t, n, args...)
}

// Do sends a command, such as "close 3" or "close 3; leak 3", and returns the state after it.
func (l *Leak) Do(command string) truth.State {
	l.t.Helper()
	if err := l.Try(command); err != nil {
		l.fail(err)
	}
	return l.State
}

// Try is Do for other goroutines than the test's, and for programs that may have ended.
func (l *Leak) Try(command string) error {
	if _, err := fmt.Fprintln(l.stdin, command); err != nil {
		return fmt.Errorf("send %q to leak: %w", command, err)
	}
	if err := l.receive(); err != nil {
		return fmt.Errorf("%s: %w", command, err)
	}
	return nil
}

// Signal sends a signal to the program, not to its children.
func (l *Leak) Signal(sig syscall.Signal) {
	l.t.Helper()
	if err := l.cmd.Process.Signal(sig); err != nil {
		l.t.Fatalf("send %v to leak: %v", sig, err)
	}
}

// Stop kills the program and its children, whatever state they are in, and waits for their end.
func (l *Leak) Stop() {
	if l.stopped {
		return
	}
	l.stopped = true
	l.stdin.Close() // ends a program that has not reported its pids yet
	for _, p := range l.family {
		p.kill()
	}
	for range l.answers { // until the program has closed its end, so that the goroutine ends
	}
	_ = l.cmd.Wait() // the error is that it was killed
	for _, p := range l.family {
		if err := p.awaitEnd(); err != nil {
			l.t.Errorf("stop leak: %v", err)
		}
	}
}

// receive reads the next report.
func (l *Leak) receive() error {
	var a answer
	select {
	case a = <-l.answers:
	case <-time.After(maxWait):
		return fmt.Errorf("no answer in %v", maxWait)
	}
	if a.err != nil {
		return a.err
	}
	state := truth.State{}
	if err := json.Unmarshal(a.line, &state); err != nil {
		return fmt.Errorf("read %q: %w", a.line, err)
	}
	if state.Error != "" {
		return fmt.Errorf("leak reports: %s", state.Error)
	}
	l.State = l.translatePIDs(state)
	return nil
}

// fail ends the test with the stderr of the program.
func (l *Leak) fail(err error) {
	l.t.Helper()
	stderr, _ := os.ReadFile(l.errors) // empty if it cannot be read
	l.t.Fatalf("%v\n%s", err, stderr)
}

// launch starts the command with pipes; its children inherit its stdin and stderr.
func (l *Leak) launch() error {
	stdin, ours, err := os.Pipe()
	if err != nil {
		return err
	}
	defer stdin.Close()
	l.stdin = ours
	l.cmd.Stdin = stdin
	l.errors = filepath.Join(l.t.TempDir(), "stderr")
	stderr, err := os.Create(l.errors)
	if err != nil {
		return err
	}
	defer stderr.Close()
	l.cmd.Stderr = stderr
	out, in, err := os.Pipe()
	if err != nil {
		return err
	}
	defer in.Close()
	l.cmd.Stdout = in
	if err := l.cmd.Start(); err != nil {
		out.Close()
		return err
	}
	l.answers = lines(out)
	return nil
}

// lines sends each line that it reads, until the other end is closed.
func lines(from *os.File) <-chan answer {
	answers := make(chan answer)
	go func() {
		defer close(answers)
		defer from.Close()
		in := bufio.NewReader(from)
		for {
			line, err := in.ReadBytes('\n')
			if err != nil {
				answers <- answer{err: fmt.Errorf("leak has ended: %w", err)}
				return
			}
			answers <- answer{line: line}
		}
	}()
	return answers
}
