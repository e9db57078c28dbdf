package main

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// onOwnThread does the work on a thread that is not the main one, and waits for its end. With
// --private-fdtable that thread alone has the sockets: /proc/PID/fd, which shows the table of the
// main thread, has none of them. With --zombie-leader the main thread ends when the work asks for it.
func onOwnThread(o options, work func(options, retire) error) error {
	// The runtime opens its own descriptors at the first timer: now is the time, while there are some
	// left and all threads share them.
	time.Sleep(time.Nanosecond)
	done := make(chan error)
	leave := make(chan struct{})
	go func() {
		runtime.LockOSThread()
		err := unshareDescriptors(o.privateTable)
		if err == nil {
			err = work(o, func() error {
				close(leave)
				return awaitZombie()
			})
		}
		select {
		case done <- err:
		case <-leave: // nobody waits
			exit(err)
		}
	}()
	select {
	case err := <-done:
		return err
	case <-leave:
		// Syscall tells the runtime that this thread may not come back: it goes on without. RawSyscall
		// would stop the world for ever at the next garbage collection.
		_, _, errno := syscall.Syscall(syscall.SYS_EXIT, 0, 0, 0)
		return fmt.Errorf("end the main thread: %w", errno)
	}
}

// retire ends the main thread.
type retire func() error

func unshareDescriptors(wanted bool) error {
	if !wanted {
		return nil
	}
	if err := unix.Unshare(unix.CLONE_FILES); err != nil {
		return fmt.Errorf("take a descriptor table of our own: %w", err)
	}
	return nil
}

// awaitZombie returns when the main thread has ended.
func awaitZombie() error {
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		stat, err := os.ReadFile("/proc/self/stat")
		if err != nil {
			return fmt.Errorf("look after the main thread: %w", err)
		}
		if i := bytes.LastIndexByte(stat, ')'); bytes.HasPrefix(stat[i+1:], []byte(" Z")) {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the main thread is still there after %v", patience)
		}
	}
}
