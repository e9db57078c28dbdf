package report

import (
	"fmt"
	"slices"
	"strconv"

	"closewait_exporter/closewait"
)

// Selection says which of the listed processes are shown, and in which order.
type Selection struct {
	PIDs   []int    // empty: all
	Groups []string // empty: all
	Users  []string // names or UIDs; empty: all
	Ports  []uint16 // of services with ended connections; empty: all
	Order  *Order   // nil: worst first
	Top    int      // maximum number of processes; 0: no limit
}

// selects reports whether a process is shown, unless there are too many.
func (s *Selection) selects(h *closewait.Holder) bool {
	hasPort := func(service closewait.Service) bool { return slices.Contains(s.Ports, service.Port) }
	return (len(s.PIDs) == 0 || slices.Contains(s.PIDs, h.ID.PID)) &&
		(len(s.Groups) == 0 || slices.Contains(s.Groups, h.Group())) &&
		(len(s.Users) == 0 || slices.Contains(s.Users, h.User) || slices.Contains(s.Users, strconv.FormatUint(uint64(h.UID), 10))) &&
		(len(s.Ports) == 0 || slices.ContainsFunc(h.Ended.Services, hasPort) || slices.ContainsFunc(h.Unaccepted.Services, hasPort))
}

// all reports whether no process is left out.
func (s *Selection) all() bool { return len(s.PIDs)+len(s.Groups)+len(s.Users)+len(s.Ports) == 0 }

// selected are the listed processes that match the Selection, worst first.
func (r *Report) selected() []*closewait.Holder {
	return slices.DeleteFunc(slices.Clone(r.Listed), func(h *closewait.Holder) bool { return !r.Selection.selects(h) })
}

// Rows are the lines about the processes that are shown.
func (r *Report) Rows() []Row {
	var rows []Row
	for _, h := range r.selected() {
		rows = append(rows, r.Row(h))
	}
	if r.Selection.Order != nil {
		r.Selection.Order.Sort(rows)
	}
	if top := r.Selection.Top; top > 0 && len(rows) > top {
		rows = rows[:top]
	}
	return rows
}

// Shown is the number of Rows.
func (r *Report) Shown() int {
	n := len(r.selected())
	if top := r.Selection.Top; top > 0 {
		n = min(n, top)
	}
	return n
}

// selectionLines count the listed processes that are not shown.
func selectionLines(r *Report) []string {
	var lines []string
	matching, shown := len(r.selected()), r.Shown()
	if others := len(r.Listed) - matching; others > 0 {
		lines = append(lines, fmt.Sprintf("Not selected: %s.", Count(others, "process")))
	}
	if r.decoded != nil && r.decoded.json.Hidden.NotSelected > 0 {
		lines = append(lines, fmt.Sprintf("Not sent by the exporter: %s, after the worst %d.", Count(r.decoded.json.Hidden.NotSelected, "process"), len(r.Listed)))
	}
	if more := matching - shown; more > 0 {
		lines = append(lines, fmt.Sprintf("Not shown: %d more, after the first %d.", more, shown))
	}
	return lines
}

// Leaking counts the selected processes with ended or unaccepted sockets.
func (r *Report) Leaking() int { return countLeaking(r.selected()) }

func countLeaking(holders []*closewait.Holder) (n int) {
	for _, h := range holders {
		if h.Ended.Len()+h.Unaccepted.Len() > 0 {
			n++
		}
	}
	return n
}
