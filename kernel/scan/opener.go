package scan

import "closewait_exporter/closewait"

// openerOf returns which side opened a connection, from the counters of its socket in CLOSE_WAIT.
// The SYN of the side that called connect(2) counts as one acknowledged byte, so that side has one
// acknowledged byte more than it has sent. This only holds while nothing is queued, and not in
// states in which an own FIN has been acknowledged, which counts too.
func openerOf(queued uint32, acked, sent, retransmitted uint64) closewait.Direction {
	if queued > 0 {
		return closewait.UnknownDirection
	}
	switch acked - (sent - retransmitted) {
	case 0:
		return closewait.Inbound
	case 1:
		return closewait.Outbound
	}
	return closewait.UnknownDirection
}
