// Package child runs the exporter's own program for what can hang: a child process that answers
// requests, part by part, and is abandoned after a deadline.
package child

import (
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

// ending is how long a killed child process may take to end. One that the kernel blocks is
// abandoned.
const ending = 200 * time.Millisecond

// ErrLate reports that the child process did not answer in time.
var ErrLate = errors.New("no answer in time: the process may be blocked in the kernel, or the host is busy")

// part is a part of an answer. The last part of each answer only says that it is.
type part[Answer any] struct {
	Answer Answer
	Done   bool
}

// Process is a child process. It answers one request after the other.
type Process struct {
	cmd     *exec.Cmd
	input   *os.File
	output  *os.File
	encoder *gob.Encoder
	decoder *gob.Decoder
	within  time.Duration // for a request
	failed  error         // why it is asked nothing more
}

// Start starts a program that calls Serve. within is the time that it has for each request. Where
// Start fails, every request returns why.
func Start(program []string, within time.Duration) *Process {
	c := &Process{within: within}
	c.failed = c.start(program)
	return c
}

func (c *Process) start(program []string) error {
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

// Ask sends a request to a child process and calls each with each part of the answer that comes in
// time. It returns ErrLate if not all came. After an error the process is asked nothing more.
func Ask[Answer any](ctx context.Context, c *Process, request any, each func(*Answer)) error {
	if c.failed == nil {
		c.failed = askFor(ctx, c, request, each)
	}
	return c.failed
}

func askFor[Answer any](ctx context.Context, c *Process, request any, each func(*Answer)) error {
	deadline := time.Now().Add(c.within)
	if earlier, set := ctx.Deadline(); set && earlier.Before(deadline) {
		deadline = earlier
	}
	if err := errors.Join(c.input.SetWriteDeadline(deadline), c.output.SetReadDeadline(deadline)); err != nil {
		return err
	}
	err := c.encoder.Encode(request)
	for err == nil {
		var p part[Answer]
		if err = c.decoder.Decode(&p); err == nil {
			if p.Done {
				return nil
			}
			each(&p.Answer)
		}
	}
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return ErrLate
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("the process that reads it has ended")
	}
	return fmt.Errorf("ask the process that reads it: %w", err)
}

// End ends the child process: by the end of its input or, if that is not enough, by SIGKILL.
func (c *Process) End() {
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
	if !errors.Is(c.failed, ErrLate) {
		select {
		case <-ended:
			return
		case <-time.After(ending):
		}
	}
	_ = c.cmd.Process.Kill() // it may have ended meanwhile
	select {
	case <-ended:
	case <-time.After(ending):
	}
}

// Serve is what the child process does: it reads requests until there are no more, and answers them
// part by part, because any of the reads can hang.
func Serve[Request, Answer any](requests io.Reader, answers io.Writer, answer func(*Request, func(Answer) error) error) error {
	in, out := gob.NewDecoder(requests), gob.NewEncoder(answers)
	send := func(p part[Answer]) error {
		if err := out.Encode(p); err != nil {
			return fmt.Errorf("write answer: %w", err)
		}
		return nil
	}
	for {
		var r Request
		switch err := in.Decode(&r); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("read request: %w", err)
		}
		if err := answer(&r, func(a Answer) error { return send(part[Answer]{Answer: a}) }); err != nil {
			return err
		}
		if err := send(part[Answer]{Done: true}); err != nil {
			return err
		}
	}
}
