package reaper

import (
	"errors"
	"time"
)

func readWhen(s *section) When {
	w := When{
		Sockets:   value(s, "sockets", defaultSockets, parseSockets),
		Age:       value(s, "age", 0, parseAge),
		For:       value(s, "for", 0, parseDuration),
		FDs:       value(s, "fds", Threshold{}, parseThreshold),
		Direction: value(s, "direction", AnyDirection, oneOf(AnyDirection, InboundOnly, OutboundOnly)),
		PeerShare: value(s, "peer_share", 0, parseRatio),

		IncludeDefunct: value(s, "include_defunct", false, parseBool),
	}
	if !s.has("age") && !s.broken {
		s.refuse("age", "is missing: say for how long a socket must have been in CLOSE_WAIT, such as 60s")
	}
	if w.PeerShare > 0 && w.Direction == OutboundOnly {
		s.warn("peer_share", "has no effect: it is about inbound sockets, and direction is outbound")
	}
	return w
}

func parseSockets(text string) (int, error) {
	n, err := parseCount(text)
	if err == nil && n == 0 {
		err = errors.New("0 sockets are no evidence: write 1 or more")
	}
	return n, err
}

func parseAge(text string) (time.Duration, error) {
	d, err := parseDuration(text)
	if err == nil && d == 0 {
		err = errors.New("without an age every connection counts that is just being closed: write such as 60s")
	}
	return d, err
}
