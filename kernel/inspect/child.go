package inspect

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"
)

const (
	// ChildTime is how long the child process may take, unless a Reader says otherwise.
	ChildTime = time.Second
	// childEnd is how long a killed child process may take to end. One that the kernel blocks is
	// abandoned.
	childEnd = 200 * time.Millisecond
)

// errLate reports that the child process did not answer in time.
var errLate = errors.New("no answer in time: the process may be blocked in the kernel, or the host is busy")

// ask runs the child process and calls f with each answer that comes in time. It returns errLate if
// not all came.
func (r *Reader) ask(ctx context.Context, request memoryRequest, f func(memoryAnswer)) error {
	if len(r.Child) == 0 {
		return errors.New("no program to read it with")
	}
	input, err := json.Marshal(request)
	if err != nil {
		return fmt.Errorf("write request: %w", err)
	}
	out, in, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("make pipe: %w", err)
	}
	defer out.Close()
	cmd := exec.Command(r.Child[0], r.Child[1:]...)
	cmd.Stdin, cmd.Stdout = bytes.NewReader(input), in
	cmd.WaitDelay = childEnd
	err = cmd.Start()
	in.Close()
	if err != nil {
		return fmt.Errorf("start %s: %w", r.Child[0], err)
	}
	deadline := time.Now().Add(cmp.Or(r.ChildTime, ChildTime))
	if earlier, set := ctx.Deadline(); set && earlier.Before(deadline) {
		deadline = earlier
	}
	if err := out.SetReadDeadline(deadline); err != nil {
		return errors.Join(err, end(cmd))
	}
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var answer memoryAnswer
		if err := json.Unmarshal(lines.Bytes(), &answer); err == nil {
			f(answer)
		}
	}
	if err := lines.Err(); errors.Is(err, os.ErrDeadlineExceeded) {
		return errors.Join(errLate, end(cmd))
	}
	return end(cmd)
}

// end kills the child process and waits a moment for its end.
func end(cmd *exec.Cmd) error {
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		return err
	case <-time.After(childEnd):
	}
	_ = cmd.Process.Kill() // it may have ended meanwhile
	select {
	case <-ended:
	case <-time.After(childEnd):
	}
	return nil
}
