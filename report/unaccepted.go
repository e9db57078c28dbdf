package report

import (
	"strconv"

	"closewait_exporter/closewait"
)

// unacceptedCell formats the number of unaccepted sockets of a process: a count or an upper bound.
func unacceptedCell(h *closewait.Holder) string {
	n, exact := h.UnacceptedCount()
	if exact {
		return strconv.Itoa(n)
	}
	return "<=" + strconv.Itoa(n)
}

// unaccepted is the number of unaccepted sockets of a process, or its upper bound.
func unaccepted(h *closewait.Holder) int {
	n, _ := h.UnacceptedCount()
	return n
}
