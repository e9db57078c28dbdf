package main

import (
	"fmt"
	"strconv"
)

// unread is what is left unread on a leaked socket: so many bytes of payload and the FIN, or with
// nothing nothing at all.
type unread int

// The two classes without payload.
const (
	nothing unread = -1 // the end of file was read
	onlyFIN unread = 0
)

// mostUnread fits the receive buffer of any socket, so that a client can always send it.
const mostUnread = 32 << 10

// parseUnread reads "none", "fin" or a number of bytes.
func parseUnread(s string) (unread, error) {
	switch s {
	case "none":
		return nothing, nil
	case "fin":
		return onlyFIN, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > mostUnread {
		return 0, fmt.Errorf("--unread=%s: give none, fin or a number of bytes from 1 to %d", s, mostUnread)
	}
	return unread(n), nil
}

// payload is how many bytes the peer sends before its FIN.
func (u unread) payload() int { return int(max(u, 0)) }

// recvQ is the receive queue that ss shows.
func (u unread) recvQ() uint32 { return uint32(u + 1) }
