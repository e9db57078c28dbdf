package main

import (
	"fmt"
	"strconv"
)

// unread is what is left unread on a leaked socket: a number of payload bytes and the FIN, or one
// of the two classes below.
type unread int

// The two classes without payload.
const (
	nothing unread = -1 // the end of file was read
	onlyFIN unread = 0
)

// maxUnread fits into the receive buffer of any socket, so that a client can always send it.
const maxUnread = 32 << 10

// parseUnread reads "none", "fin" or a number of bytes.
func parseUnread(s string) (unread, error) {
	switch s {
	case "none":
		return nothing, nil
	case "fin":
		return onlyFIN, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > maxUnread {
		return 0, fmt.Errorf("--unread=%s: give none, fin or a number of bytes from 1 to %d", s, maxUnread)
	}
	return unread(n), nil
}

// payload is the number of bytes that the peer sends before its FIN.
func (u unread) payload() int { return int(max(u, 0)) }

// recvQ is the receive queue that ss shows.
func (u unread) recvQ() uint32 { return uint32(u + 1) }
