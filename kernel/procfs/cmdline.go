package procfs

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
	"closewait_exporter/kernel/host"
)

// CommandLines reads the command lines of processes. It is safe for concurrent use. It remembers
// none, because a process can change its command line at any time, also by executing its own
// program again.
//
// Reading a command line can hang for ever: the kernel takes a lock of the process that a thread in
// uninterruptible sleep can hold. So Of waits at most a second for a read, at most
// commandLinesPending reads are under way at the same time, and no other read is started beside one
// that hangs. A read that was under way before is only waited for: it can have the arguments of a
// program that the process ran before.
type CommandLines struct {
	host *host.Host

	mu      sync.Mutex
	pending map[closewait.ProcessID]*pendingRead
}

// pendingRead is the read of a command line. text and err are valid once done is closed.
type pendingRead struct {
	since time.Time
	done  chan struct{}
	text  string
	err   error
}

const (
	commandLineBytes    = 64 << 10 // longer ones are cut; a process can make its own of any length
	commandLineTimeout  = time.Second
	commandLinesPending = 4
)

// NewCommandLines returns a reader for the processes of a host. The host must not be closed before
// the last read has ended.
func NewCommandLines(h *host.Host) *CommandLines {
	return &CommandLines{host: h, pending: map[closewait.ProcessID]*pendingRead{}}
}

// Of returns the arguments of a process, separated by spaces, 64 KiB at most. The result is empty
// for a zombie, a kernel thread and a process that has overwritten its arguments. Of fails with
// closewait.ErrGone if the process has ended.
func (c *CommandLines) Of(ctx context.Context, p *closewait.Process) (string, error) {
	r, underWay, err := c.ask(p.ID)
	text := ""
	if err == nil {
		text, err = r.wait(ctx)
	}
	if err == nil && underWay {
		if r, _, err = c.ask(p.ID); err == nil {
			text, err = r.wait(ctx)
		}
	}
	if err != nil {
		return "", fmt.Errorf("command line of process %d: %w", p.ID.PID, err)
	}
	return text, nil
}

// ask returns the read of a command line that is under way, or starts one.
func (c *CommandLines) ask(id closewait.ProcessID) (r *pendingRead, underWay bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r := c.pending[id]; r != nil {
		return r, true, nil
	}
	if len(c.pending) >= commandLinesPending {
		return nil, false, fmt.Errorf("%w, and %d other reads are under way", host.ErrHangs, len(c.pending))
	}
	r = &pendingRead{since: time.Now(), done: make(chan struct{})}
	c.pending[id] = r
	go func() {
		r.text, r.err = readCommandLine(c.host, id)
		c.mu.Lock()
		delete(c.pending, id)
		c.mu.Unlock()
		close(r.done)
	}()
	return r, false, nil
}

func (r *pendingRead) wait(ctx context.Context) (string, error) {
	late := time.NewTimer(time.Until(r.since.Add(commandLineTimeout)))
	defer late.Stop()
	select {
	case <-r.done:
		return r.text, r.err
	case <-late.C:
		return "", host.ErrHangs
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}

// readCommandLine reads the command line of a process. It can hang.
func readCommandLine(h *host.Host, id closewait.ProcessID) (string, error) {
	dir, err := h.OpenProcess(id)
	if err != nil {
		return "", host.GoneIfVanished(err)
	}
	defer dir.Close()
	fd, err := unix.Openat(int(dir), "cmdline", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", host.GoneIfVanished(err)
	}
	file := os.NewFile(uintptr(fd), "cmdline")
	defer file.Close()
	line, err := io.ReadAll(io.LimitReader(file, commandLineBytes))
	if err != nil {
		return "", host.GoneIfVanished(err)
	}
	return string(bytes.ReplaceAll(bytes.TrimRight(line, "\x00"), []byte{0}, []byte{' '})), nil
}
