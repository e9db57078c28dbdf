package report

import (
	"slices"
	"strconv"

	"closewait_exporter/closewait"
)

// Row is a line about a process. Its texts are escaped and can be shown as they are.
type Row struct {
	Group, PID, Comm, Sockets, Unaccepted, Closed, Oldest, Unread, FDs, Service, Remote string

	All   closewait.Holding // all its sockets
	Ended closewait.Holding // its ended sockets, accepted or not
}

// Row describes a process of the Report.
func (r *Report) Row(h *closewait.Holder) Row {
	row := Row{All: allOf(h), Ended: ended(h)}
	connections := &row.Ended // whose services and addresses are shown
	if connections.Len() == 0 {
		connections = &row.All
	}
	row.Group, row.PID, row.Comm = Text(h.Group()), strconv.Itoa(h.ID.PID), Text(h.Comm)
	row.Sockets, row.Unaccepted, row.Closed = strconv.Itoa(h.Ended.Len()), strconv.Itoa(h.Unaccepted.Len()), r.closedCell(h)
	row.Oldest, row.Unread = Age(row.All.Sockets[0], r.View.Taken), size(row.Ended.UnreadBytes)
	row.FDs, row.Service, row.Remote = descriptors(&h.Process), topService(connections), topRemote(connections)
	return row
}

func (r *Row) cells() []string {
	return []string{r.Group, r.PID, r.Comm, r.Sockets, r.Unaccepted, r.Closed, r.Oldest, r.Unread, r.FDs, r.Service, r.Remote}
}

// topService is the service with the most sockets, and the number of other services.
func topService(h *closewait.Holding) string {
	top := h.Services[0]
	cell := direction(top.Direction) + " " + port(top.Direction, top.Port)
	if more := len(h.Services) - 1; more > 0 {
		cell += " +" + strconv.Itoa(more)
	}
	return cell
}

// topRemote is the remote address with the most sockets, after its share, because long addresses
// are shortened at the end.
func topRemote(h *closewait.Holding) string {
	share := percent(uint64(h.TopRemote.Sockets), uint64(h.Len()))
	return share + " " + Text(h.TopRemote.Addr.String())
}

// allOf are all sockets of a process.
func allOf(h *closewait.Holder) closewait.Holding { return join(&h.Ended, &h.Unaccepted, &h.Other) }

// ended are the ended sockets of a process, accepted or not.
func ended(h *closewait.Holder) closewait.Holding { return join(&h.Ended, &h.Unaccepted) }

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
