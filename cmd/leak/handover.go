package main

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// handOver sends our leaked sockets to the process that listens on a unix socket, and closes ours.
func handOver(s *server) error {
	channel, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("--hand-over=%s: %w", s.handOver, err)
	}
	defer unix.Close(channel)
	if err := unix.Connect(channel, &unix.SockaddrUnix{Name: s.handOver}); err != nil {
		return fmt.Errorf("--hand-over=%s: %w", s.handOver, err)
	}
	if err := send(s.closable(), channel, answeredOn(channel)); err != nil {
		return fmt.Errorf("--hand-over=%s: %w", s.handOver, err)
	}
	for _, sock := range s.closable() {
		sock.release(s.pid)
	}
	return nil
}

// receiveOn listens on a unix socket, to which every user may connect, and keeps all descriptors
// that it receives, as a service does that is passed connections.
func receiveOn(path string) error {
	listener, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("--receive=%s: %w", path, err)
	}
	if err := unix.Bind(listener, &unix.SockaddrUnix{Name: path}); err != nil {
		return fmt.Errorf("--receive=%s: %w", path, err)
	}
	if err := os.Chmod(path, 0o666); err != nil {
		return fmt.Errorf("--receive=%s: %w", path, err)
	}
	if err := unix.Listen(listener, unix.SOMAXCONN); err != nil {
		return fmt.Errorf("--receive=%s: %w", path, err)
	}
	go func() {
		for {
			channel, _, err := unix.Accept4(listener, unix.SOCK_CLOEXEC)
			if err == nil {
				err = receiveAll(channel)
				unix.Close(channel)
			}
			if err != nil {
				fmt.Fprintf(os.Stderr, "leak: --receive=%s: %v\n", path, err)
			}
		}
	}()
	return nil
}
