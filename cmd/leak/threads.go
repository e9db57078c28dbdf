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

// onOwnThread runs the program on a thread that is not the main one, and waits for its end. With
// --private-fdtable only that thread has the sockets: /proc/PID/fd, which shows the table of the
// main thread, has none of them. With --zombie-leader the main thread ends when the program asks
// for it.
func onOwnThread(o options, program func(options, endMainThread) error) error {
	// The runtime opens its own descriptors at the first timer. Do that now, while descriptors are
	// left and all threads share them.
	time.Sleep(time.Nanosecond)
	done := make(chan error)
	leave := make(chan struct{})
	go func() {
		runtime.LockOSThread()
		err := unshareDescriptors(o.privateTable)
		if err == nil {
			err = program(o, func() error {
				close(leave)
				return awaitZombie()
			})
		}
		select {
		case done <- err:
		case <-leave: // the main thread is gone: nothing receives from done
			exit(err)
		}
	}()
	select {
	case err := <-done:
		return err
	case <-leave:
		// Syscall tells the runtime that this thread may not return, and the runtime continues
		// without it. RawSyscall would stop the world for ever at the next garbage collection.
		_, _, errno := syscall.Syscall(syscall.SYS_EXIT, 0, 0, 0)
		return fmt.Errorf("end the main thread: %w", errno)
	}
}

// endMainThread ends the main thread and returns when it is a zombie.
type endMainThread func() error

func unshareDescriptors(wanted bool) error {
	if !wanted {
		return nil
	}
	if err := unix.Unshare(unix.CLONE_FILES); err != nil {
		return fmt.Errorf("unshare the descriptor table: %w", err)
	}
	return nil
}

// zombieTimeout bounds the wait for the end of the main thread.
const zombieTimeout = 30 * time.Second

// awaitZombie returns when the main thread has ended.
func awaitZombie() error {
	for deadline := time.Now().Add(zombieTimeout); ; time.Sleep(time.Millisecond) {
		stat, err := os.ReadFile("/proc/self/stat")
		if err != nil {
			return fmt.Errorf("read the state of the main thread: %w", err)
		}
		if i := bytes.LastIndexByte(stat, ')'); bytes.HasPrefix(stat[i+1:], []byte(" Z")) {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the main thread is still there after %v", zombieTimeout)
		}
	}
}
