package inspect

import (
	"cmp"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

const (
	// ChildTime is how long the child process may take for a request, unless a Reader says
	// otherwise.
	ChildTime = time.Second
	// childEnd is how long a killed child process may take to end. One that the kernel blocks is
	// abandoned.
	childEnd = 200 * time.Millisecond
)

// errLate reports that the child process did not answer in time.
var errLate = errors.New("no answer in time: the process may be blocked in the kernel, or the host is busy")

// child is a process that reads what can hang. It answers one request after the other.
type child struct {
	cmd     *exec.Cmd
	input   *os.File
	output  *os.File
	encoder *gob.Encoder
	decoder *gob.Decoder
	time    time.Duration // for a request
	failed  error         // why it is asked nothing more
}

// startChild starts the child process. Where that fails, every request returns why.
func (r *Reader) startChild() *child {
	c := &child{time: cmp.Or(r.ChildTime, ChildTime)}
	c.failed = c.start(r.Child)
	return c
}

func (c *child) start(program []string) error {
	if len(program) == 0 {
		return errors.New("no program to read it with")
	}
	stdin, input, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("make pipe: %w", err)
	}
	defer stdin.Close()
	output, stdout, err := os.Pipe()
	if err != nil {
		input.Close()
		return fmt.Errorf("make pipe: %w", err)
	}
	defer stdout.Close()
	c.input, c.output = input, output
	c.encoder, c.decoder = gob.NewEncoder(input), gob.NewDecoder(output)
	cmd := exec.Command(program[0], program[1:]...)
	cmd.Stdin, cmd.Stdout = stdin, stdout
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", program[0], err)
	}
	c.cmd = cmd
	return nil
}

// ask calls f with each answer to a request that comes in time. It returns errLate if not all came.
func (c *child) ask(ctx context.Context, request memoryRequest, f func(*memoryAnswer)) error {
	if c.failed == nil {
		c.failed = c.answers(ctx, request, f)
	}
	return c.failed
}

func (c *child) answers(ctx context.Context, request memoryRequest, f func(*memoryAnswer)) error {
	deadline := time.Now().Add(c.time)
	if earlier, set := ctx.Deadline(); set && earlier.Before(deadline) {
		deadline = earlier
	}
	if err := errors.Join(c.input.SetWriteDeadline(deadline), c.output.SetReadDeadline(deadline)); err != nil {
		return err
	}
	err := c.encoder.Encode(request)
	for err == nil {
		var a memoryAnswer
		if err = c.decoder.Decode(&a); err == nil {
			if a.Done {
				return nil
			}
			f(&a)
		}
	}
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return errLate
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("the process that reads it has ended")
	}
	return fmt.Errorf("ask the process that reads it: %w", err)
}

// end ends the child process: by the end of its input or, if that is not enough, by SIGKILL.
func (c *child) end() {
	if c.input != nil {
		c.input.Close()
		c.output.Close()
	}
	if c.cmd == nil {
		return
	}
	ended := make(chan struct{})
	go func() {
		_ = c.cmd.Wait() // what it could not read is known already
		close(ended)
	}()
	if !errors.Is(c.failed, errLate) {
		select {
		case <-ended:
			return
		case <-time.After(childEnd):
		}
	}
	_ = c.cmd.Process.Kill() // it may have ended meanwhile
	select {
	case <-ended:
	case <-time.After(childEnd):
	}
}
