package report

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/history"
)

// Row is a line about a process. Its texts are escaped and can be shown as they are.
type Row struct {
	Group, PID, Comm, Sockets, Rate, Closed, Unaccepted, Other, Oldest, Unread, FDs, Left, Service, Remote string

	Verdict string // why it leaks, in a sentence; empty: not known

	OtherSum    string       // of all states
	OtherStates []StateCount // that occur

	Trend  history.Trend
	Holder *closewait.Holder
	Ages   closewait.Holding // the sockets whose age is shown: the ended ones, accepted or not; if there are none, the others
	Ended  closewait.Holding // the ended sockets, accepted or not
}

// Row describes a process of the Report.
func (r *Report) Row(h *closewait.Holder) Row {
	row := newRow(r, h)
	row.Ages = row.Ended
	if row.Ages.Len() == 0 {
		row.Ages = h.Other
	}
	row.Group, row.PID, row.Comm = Text(h.Group()), strconv.Itoa(h.ID.PID), Text(h.Comm)
	row.Sockets = r.seen().count(h.Ended.Len(), closewait.EndedStates...)
	row.Closed = r.seen().count(h.Ended.States[closewait.Closed], closewait.Closed)
	row.Unaccepted = unacceptedCell(h)
	occurring := slices.DeleteFunc(slices.Clone(closewait.OtherStates), func(s closewait.State) bool { return h.Other.States[s] == 0 })
	row.OtherSum, row.OtherStates = r.seen().count(h.Other.Len(), closewait.OtherStates...), r.seen().counts(statesOf(h), occurring)
	row.Other = row.other()
	row.Oldest = Oldest(&row.Ages, r.View.Taken)
	row.Rate, row.Left = rate(row.Trend.Sockets), left(&row.Trend)
	row.Unread, row.FDs = size(row.Ended.UnreadBytes), descriptors(&h.Process)
	row.Verdict = verdict(r.Verdicts[h.ID])
	row.Service, row.Remote = topService(&row.Ages), topRemote(&row.Ages)
	return row
}

// newRow is a Row without its texts. The process may have no socket of interest.
func newRow(r *Report, h *closewait.Holder) Row {
	row := Row{Holder: h, Trend: trendOf(r.History, h)}
	if r.decoded != nil {
		row.Ended = r.decoded.ended[h.ID]
	} else {
		row.Ended = join(&h.Ended, &h.Unaccepted)
	}
	return row
}

// other formats the sockets that have not ended, such as "7 fin_wait2". If they are in several
// states, it begins with the sum, which a narrow terminal shows.
func (r *Row) other() string {
	var parts []string
	for _, s := range r.OtherStates {
		parts = append(parts, s.Sockets+" "+s.State)
	}
	switch len(parts) {
	case 0:
		return r.OtherSum
	case 1:
		return parts[0]
	}
	return r.OtherSum + ": " + strings.Join(parts, ", ")
}

// Oldest formats the age of the oldest socket at the time now.
func Oldest(h *closewait.Holding, now time.Time) string {
	return age(h.Oldest(now), h.LowerBounds > 0)
}

// Median formats the age that half of the sockets have reached.
func Median(h *closewait.Holding, now time.Time) string {
	return age(h.Sockets[(h.Len()-1)/2].Age(now), h.LowerBounds > 0)
}

// topService is the service with the most sockets, and the number of other services.
func topService(h *closewait.Holding) string {
	top := h.Services[0]
	cell := direction(top.Direction) + " " + port(top.Port)
	if more := len(h.Services) - 1; more > 0 {
		cell += " +" + strconv.Itoa(more)
	}
	return cell
}

// topRemote is the remote address with the most sockets, after its share, because long addresses
// are shortened at the end. A socket that was never connected has none.
func topRemote(h *closewait.Holding) string {
	if !h.TopRemote.Addr.IsValid() || h.TopRemote.Addr.IsUnspecified() {
		return "-"
	}
	share := percent(uint64(h.TopRemote.Sockets), uint64(h.Len()))
	return share + " " + Text(h.TopRemote.Addr.String())
}

// join makes one Holding of several. Most processes have sockets of one kind, which costs nothing.
func join(kinds ...*closewait.Holding) closewait.Holding {
	kinds = slices.DeleteFunc(kinds, func(h *closewait.Holding) bool { return h.Len() == 0 })
	if len(kinds) == 1 {
		return *kinds[0]
	}
	var sockets []*closewait.Socket
	for _, h := range kinds {
		sockets = append(sockets, h.Sockets...)
	}
	return closewait.NewHolding(sockets)
}

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
