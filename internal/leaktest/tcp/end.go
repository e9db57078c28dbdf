package tcp

import (
	"errors"
	"fmt"
	"time"
	"unsafe"

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

// AwaitState returns when the socket is in the given state, as StateOf returns it.
func AwaitState(fd int, want State) error {
	for deadline := time.Now().Add(timeout); ; time.Sleep(time.Millisecond) {
		state, err := StateOf(fd)
		if err != nil {
			return err
		}
		if state == want {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("a socket is in state %d after %v, not in %d", state, timeout, want)
		}
	}
}

// StateOf returns the state of a socket. Of an MPTCP socket it knows three states, as far as
// poll(2) shows them (mptcp_poll in net/mptcp/protocol.c), because TCP_INFO has the state of its
// first path: Closed when both ends were closed, CloseWait, and FinWait2 when the peer has
// acknowledged all that was sent, which includes the end if that was sent.
func StateOf(fd int) (State, error) {
	protocol, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PROTOCOL)
	if err != nil {
		return 0, fmt.Errorf("read the protocol of a socket: %w", err)
	}
	if protocol == unix.IPPROTO_MPTCP {
		return stateOfMPTCP(fd)
	}
	return stateByInfo(fd)
}

func stateByInfo(fd int) (State, error) {
	info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		return 0, fmt.Errorf("read the state of a socket: %w", err)
	}
	return State(info.State), nil
}

func stateOfMPTCP(fd int) (State, error) {
	polled := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
	if _, err := unix.Poll(polled, 0); err != nil && !errors.Is(err, unix.EINTR) {
		return 0, fmt.Errorf("poll a socket: %w", err)
	}
	switch events := polled[0].Revents; {
	case events&unix.POLLHUP != 0:
		return Closed, nil
	case events&unix.POLLRDHUP != 0:
		return CloseWait, nil
	}
	acknowledged, err := allAcknowledged(fd)
	switch {
	case errors.Is(err, unix.ENOPROTOOPT): // it has fallen back to TCP
		return stateByInfo(fd)
	case err != nil || !acknowledged:
		return 0, err
	}
	return FinWait2, nil
}

// allAcknowledged reports whether the peer has acknowledged all that was sent on an MPTCP socket.
func allAcknowledged(fd int) (bool, error) {
	const solMPTCP, mptcpInfo = 284, 1 // include/uapi/linux/mptcp.h
	var info struct {
		_                [16]byte
		writeSeq, sndUna uint64
	}
	size := uint32(unsafe.Sizeof(info))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), solMPTCP, mptcpInfo, uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return false, fmt.Errorf("read what an MPTCP socket has sent: %w", errno)
	}
	return info.writeSeq == info.sndUna, nil
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
