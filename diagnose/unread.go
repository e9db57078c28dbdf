package diagnose

import (
	"cmp"
	"slices"
)

// Whose says on which sockets something is unread.
type Whose string

// The sockets with unread data.
const (
	UnreadOnEnded  Whose = "ended"       // the peer has closed
	UnreadOfItself Whose = "from_itself" // the process has sent it to itself
	UnreadOnOpen   Whose = "open"        // other connections
)

// UnreadLine is the first unread line that some sockets have in common.
type UnreadLine struct {
	Sockets int
	Whose   Whose
	Line    string
}

// UnreadLines are the unread lines that were read with the facts, the most frequent first.
func UnreadLines(f *Facts) []UnreadLine {
	byLine := map[UnreadLine]int{}
	for i := range f.Sockets {
		if s := &f.Sockets[i]; s.FirstLine != "" {
			byLine[UnreadLine{Whose: s.whose(), Line: s.FirstLine}]++
		}
	}
	lines := make([]UnreadLine, 0, len(byLine))
	for line, n := range byLine {
		line.Sockets = n
		lines = append(lines, line)
	}
	slices.SortFunc(lines, func(a, b UnreadLine) int {
		return cmp.Or(cmp.Compare(b.Sockets, a.Sockets), cmp.Compare(a.Whose, b.Whose), cmp.Compare(a.Line, b.Line))
	})
	return lines
}

func (s *Socket) whose() Whose {
	switch {
	case s.State == Ending:
		return UnreadOnEnded
	case s.Peer.Place == OwnProcess:
		return UnreadOfItself
	}
	return UnreadOnOpen
}
