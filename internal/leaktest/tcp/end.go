package tcp

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// State is a state of a TCP socket, as TCP_INFO and include/net/tcp_states.h number them.
type State uint8

// The states that a test waits for.
const (
	FinWait2  State = 5
	Closed    State = 7 // in no table; `ss -s` and lsof call it closed
	CloseWait State = 8
	LastACK   State = 9
)

// CloseAll closes clients. It sends the FIN of each, waits until the kernel has delivered all of
// them, so that each server is in CLOSE_WAIT, and then closes the descriptors. The kernel keeps
// each end in FIN_WAIT2 for tcp_fin_timeout (60 s).
func CloseAll(clients []int) error {
	for _, fd := range clients {
		if err := unix.Shutdown(fd, unix.SHUT_WR); err != nil {
			return fmt.Errorf("shut down a client: %w", err)
		}
	}
	for _, fd := range clients {
		if err := AwaitState(fd, FinWait2); err != nil {
			return err
		}
		unix.Close(fd)
	}
	return nil
}

// HalfClose shuts one end down for writing and returns when the other one is in CLOSE_WAIT. The end
// can still read.
func HalfClose(fd, other int) error {
	if err := unix.Shutdown(fd, unix.SHUT_WR); err != nil {
		return fmt.Errorf("half-close a connection: %w", err)
	}
	return AwaitState(other, CloseWait)
}

// Reset closes a socket with a RST: the other end is closed, whatever state it was in.
func Reset(fd int) error {
	if err := unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}); err != nil {
		return fmt.Errorf("reset a connection: %w", err)
	}
	return unix.Close(fd)
}

// AwaitState returns when the socket is in the given state.
func AwaitState(fd int, want State) error {
	for deadline := time.Now().Add(timeout); ; time.Sleep(time.Millisecond) {
		info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil {
			return fmt.Errorf("read the state of a socket: %w", err)
		}
		if State(info.State) == want {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("a socket is in state %d after %v, not in %d", info.State, timeout, want)
		}
	}
}

// Write writes n bytes.
func Write(fd, n int) error {
	for n > 0 {
		written, err := unix.Write(fd, make([]byte, n))
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("send: %w", err)
		}
		n -= max(written, 0)
	}
	return nil
}

// ReadToEnd reads up to and including the end of file.
func ReadToEnd(fd int) error {
	buffer := make([]byte, 32<<10)
	for {
		n, err := unix.Read(fd, buffer)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("read to the end: %w", err)
		}
		if err == nil && n == 0 {
			return nil
		}
	}
}
