package kernel

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"closewait_exporter/closewait"
)

// CommandLines reads the command lines of processes, each once. It is safe for concurrent use.
//
// Reading one can hang for ever: the kernel takes a lock of the process that a thread in
// uninterruptible sleep can hold. So each is waited for a second at most, a few may be under way
// at the same time, and one that hangs is not begun again.
type CommandLines struct {
	scanner *Scanner

	mu      sync.Mutex
	known   map[program]string
	pending map[program]*reading
}

// program is what a process runs: execve(2) changes it, and the command line with it.
type program struct {
	process closewait.ProcessID
	exe     string
}

// reading is a command line under way. The rest may be read when done is closed.
type reading struct {
	since time.Time
	done  chan struct{}
	text  string
	err   error
}

const (
	commandLineBytes   = 64 << 10 // what is longer is cut; a process makes it as long as it likes
	commandLineTimeout = time.Second
	commandLinesKept   = 4096
)

// NewCommandLines returns a reader for the processes that the Scanner sees, which must not be closed
// before it is done.
func NewCommandLines(s *Scanner) *CommandLines {
	return &CommandLines{scanner: s, known: map[program]string{}, pending: map[program]*reading{}}
}

// Of returns the arguments of a process with a space between them, 64 KiB at most. It is empty for a
// zombie, a kernel thread and a process that has overwritten it. It fails with ErrGone when
// the process has ended.
func (c *CommandLines) Of(ctx context.Context, p *closewait.Process) (string, error) {
	text, r, err := c.ask(program{p.ID, p.Exe})
	if r != nil {
		text, err = r.wait(ctx)
	}
	if err != nil {
		return "", fmt.Errorf("command line of process %d: %w", p.ID.PID, err)
	}
	return text, nil
}

// ask returns a command line that is known, or the reading of it.
func (c *CommandLines) ask(p program) (string, *reading, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if text, known := c.known[p]; known {
		return text, nil, nil
	}
	if r := c.pending[p]; r != nil {
		return "", r, nil
	}
	if len(c.pending) >= mostHanging {
		return "", nil, fmt.Errorf("%w, and %d other reads are under way", ErrHangs, len(c.pending))
	}
	r := &reading{since: time.Now(), done: make(chan struct{})}
	c.pending[p] = r
	go func() {
		r.text, r.err = c.scanner.readCommandLine(p.process)
		c.settle(p, r)
	}()
	return "", r, nil
}

func (c *CommandLines) settle(p program, r *reading) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.pending, p)
	if r.err == nil {
		if len(c.known) >= commandLinesKept {
			clear(c.known)
		}
		c.known[p] = r.text
	}
	close(r.done)
}

func (r *reading) wait(ctx context.Context) (string, error) {
	late := time.NewTimer(time.Until(r.since.Add(commandLineTimeout)))
	defer late.Stop()
	select {
	case <-r.done:
		return r.text, r.err
	case <-late.C:
		return "", ErrHangs
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}

// readCommandLine reads it through one directory with the start time, so that both are of the same
// process. It can hang.
func (s *Scanner) readCommandLine(id closewait.ProcessID) (string, error) {
	dir, err := s.proc.OpenPID(id.PID)
	if err != nil {
		return "", GoneIfVanished(err)
	}
	defer dir.Close()
	data, err := dir.Read("stat", nil)
	if err != nil {
		return "", GoneIfVanished(err)
	}
	if st, err := ParseStat(data); err != nil || st.Start != id.Start {
		return "", fmt.Errorf("%w: its pid means another one now", closewait.ErrGone)
	}
	fd, err := unix.Openat(int(dir), "cmdline", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", GoneIfVanished(err)
	}
	file := os.NewFile(uintptr(fd), "cmdline")
	defer file.Close()
	line, err := io.ReadAll(io.LimitReader(file, commandLineBytes))
	if err != nil {
		return "", GoneIfVanished(err)
	}
	return string(bytes.ReplaceAll(bytes.TrimRight(line, "\x00"), []byte{0}, []byte{' '})), nil
}
