package condition

import (
	"closewait_exporter/closewait"
	"closewait_exporter/reaper/document"
)

// direction excludes the sockets of another direction, and sockets of unknown direction.
var direction = Condition{
	Key: "direction",
	Read: func(s *document.Section, w *When) {
		w.Direction = document.Value(s, "direction", AnyDirection, document.OneOf(AnyDirection, InboundOnly, OutboundOnly))
	},
	Describe: func(w *When) string { return w.Direction.String() },
	Excludes: func(w *When, s *closewait.Socket) bool { return !w.Direction.contains(s.Direction) },
	Excluded: "of another or unknown direction",
}

// Direction is a set of socket directions.
type Direction uint8

// The values of when.direction.
const (
	AnyDirection Direction = iota
	InboundOnly
	OutboundOnly
)

func (d Direction) String() string { return [...]string{"any", "inbound", "outbound"}[d] }

// contains reports whether sockets of that direction count.
func (d Direction) contains(other closewait.Direction) bool {
	switch d {
	case InboundOnly:
		return other == closewait.Inbound
	case OutboundOnly:
		return other == closewait.Outbound
	}
	return true
}
