package main

import (
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// children are processes that hold descriptors of ours.
type children struct {
	comm          string
	exitWithStdin bool
	pids          []int
	stdinPipe     []int // a pipe that closes when we end, and the children end with it
}

// start starts a copy of this program that has the descriptors and does nothing. It ends when
// its stdin is closed. With --exit-with-stdin that is our own stdin, so that a holder can outlive
// us but not the process that started us; otherwise it is a pipe that closes when we end.
func (c *children) start(fds []int, args ...string) (pid int, err error) {
	stdin, err := c.stdin()
	if err != nil {
		return 0, err
	}
	null, err := unix.Open(os.DevNull, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("start a child: %w", err)
	}
	defer unix.Close(null)
	files := []uintptr{uintptr(stdin), uintptr(null), uintptr(unix.Stderr)}
	for _, fd := range fds {
		files = append(files, uintptr(fd))
	}
	args = append([]string{"leak", "holder", "--comm=" + c.comm}, args...)
	// The forked child resolves the path to itself, so it works even when our main thread has
	// ended.
	pid, err = syscall.ForkExec("/proc/self/exe", args, &syscall.ProcAttr{Files: files, Env: os.Environ()})
	if err != nil {
		return 0, fmt.Errorf("start a child: %w", err)
	}
	c.pids = append(c.pids, pid)
	go func() { _, _ = unix.Wait4(pid, nil, 0, nil) }() // reap it
	return pid, nil
}

// stdin is the descriptor that becomes the stdin of children.
func (c *children) stdin() (int, error) {
	var stat unix.Stat_t
	if err := unix.Fstat(unix.Stdin, &stat); err == nil && c.exitWithStdin && stat.Mode&unix.S_IFMT == unix.S_IFIFO {
		return unix.Stdin, nil
	}
	if c.stdinPipe == nil {
		c.stdinPipe = make([]int, 2)
		if err := unix.Pipe2(c.stdinPipe, unix.O_CLOEXEC); err != nil {
			return 0, fmt.Errorf("start a child: %w", err)
		}
	}
	return c.stdinPipe[0], nil
}
