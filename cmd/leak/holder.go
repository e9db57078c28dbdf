package main

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// hold runs in a child. It keeps the descriptors that it was given and reads none of them.
func hold(comm string, receive bool) error {
	if err := rename(comm); err != nil {
		return err
	}
	if receive {
		if err := receiveAll(unix.Stderr + 1); err != nil {
			return err
		}
	}
	return awaitHangup(unix.Stdin)
}

// receiveAll receives descriptors until the other end is closed, and answers each message.
func receiveAll(channel int) error {
	rights := make([]byte, unix.CmsgSpace(perMessage*4))
	for {
		n, length, _, _, err := unix.Recvmsg(channel, make([]byte, 1), rights, unix.MSG_CMSG_CLOEXEC)
		if err != nil {
			return fmt.Errorf("receive sockets: %w", err)
		}
		if n == 0 {
			return nil
		}
		if length == 0 {
			return errors.New("receive sockets: a message without any")
		}
		if _, err := unix.Write(channel, []byte{0}); err != nil {
			return fmt.Errorf("receive sockets: %w", err)
		}
	}
}

// awaitHangup returns when all writers have closed the pipe. It reads nothing from it: the commands
// in it are for our parent.
func awaitHangup(pipe int) error {
	for {
		watched := []unix.PollFd{{Fd: int32(pipe)}}
		_, err := unix.Poll(watched, -1)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("wait for the end: %w", err)
		}
		if watched[0].Revents != 0 {
			return nil
		}
	}
}
