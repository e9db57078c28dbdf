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

// patience is how long a leaking program may take for anything that it is asked for.
const patience = 60 * time.Second

// Socket is one leaked socket as the program that leaks it says.
type Socket = truth.Socket

// Leak is a running cmd/leak. State is what it said last, with the pids of this process' namespace.
type Leak struct {
	truth.State

	t       testing.TB
	cmd     *exec.Cmd
	stdin   *os.File
	answers <-chan answer
	errors  string // file that has its stderr
	pidNS   bool
	family  []process // the children, then the program itself
	stopped bool
}

type answer struct {
	line []byte
	err  error
}

// Start starts `leak server` with the given flags in the namespaces and with the rights of the test.
// It returns when all that was asked for exists. The program and its children end with the test at
// the latest, also when the test binary dies.
func Start(t testing.TB, args ...string) *Leak {
	t.Helper()
	return Where{}.Start(t, args...)
}

// StartMany starts so many programs with the same flags side by side.
func StartMany(t testing.TB, n int, args ...string) []*Leak {
	t.Helper()
	return Where{}.StartMany(t, n, args...)
}

// Do sends a command, such as "close 3", and returns what is so when it is done.
func (l *Leak) Do(command string) truth.State {
	l.t.Helper()
	if _, err := fmt.Fprintln(l.stdin, command); err != nil {
		l.fail(fmt.Errorf("send %q to leak: %w", command, err))
	}
	if err := l.listen(); err != nil {
		l.fail(fmt.Errorf("%s: %w", command, err))
	}
	return l.State
}

// Signal sends a signal to the program, not to its children.
func (l *Leak) Signal(sig syscall.Signal) {
	l.t.Helper()
	if err := l.cmd.Process.Signal(sig); err != nil {
		l.t.Fatalf("send %v to leak: %v", sig, err)
	}
}

// Stop ends the program and its children, whatever state they are in, and waits until they are gone.
func (l *Leak) Stop() {
	if l.stopped {
		return
	}
	l.stopped = true
	l.stdin.Close() // enough for one that has not said anything yet
	for _, p := range l.family {
		p.kill()
	}
	for range l.answers { // until it has closed its end, so that no goroutine stays
	}
	_ = l.cmd.Wait() // killed: the error says so
	for _, p := range l.family {
		if err := p.awaitEnd(); err != nil {
			l.t.Errorf("stop leak: %v", err)
		}
	}
}

// listen takes in the next state.
func (l *Leak) listen() error {
	var a answer
	select {
	case a = <-l.answers:
	case <-time.After(patience):
		return fmt.Errorf("no answer in %v", patience)
	}
	if a.err != nil {
		return a.err
	}
	state := truth.State{}
	if err := json.Unmarshal(a.line, &state); err != nil {
		return fmt.Errorf("read %q: %w", a.line, err)
	}
	if state.Error != "" {
		return fmt.Errorf("leak says: %s", state.Error)
	}
	l.State = l.outside(state)
	return nil
}

// fail ends the test with what the program said to people.
func (l *Leak) fail(err error) {
	l.t.Helper()
	said, _ := os.ReadFile(l.errors) // none where it cannot be read
	l.t.Fatalf("%v\n%s", err, said)
}

// launch starts the command with pipes; its children have its stdin and stderr too.
func (l *Leak) launch() error {
	theirs, ours, err := os.Pipe()
	if err != nil {
		return err
	}
	defer theirs.Close()
	l.stdin = ours
	l.cmd.Stdin = theirs
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

// lines reads lines until the other end is closed.
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
