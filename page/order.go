package page

import (
	"cmp"
	"net/url"
	"slices"
)

// column is a column of the table of processes. The table can be sorted by each.
type column struct {
	key, title      string
	about           string // tooltip
	descendingFirst bool   // the first click sorts descending, worst first
	compare         func(a, b *process) int
}

// columns in the order in which they are shown.
var columns = []column{
	{"group", "Group", "systemd unit, else pod, container or machine, else name: what survives a restart", false,
		func(a, b *process) int { return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Comm, b.Comm)) }},
	{"pid", "PID", "process", false, func(a, b *process) int { return cmp.Compare(a.Holder.ID.PID, b.Holder.ID.PID) }},
	{"sockets", "Sockets", "ended connections whose descriptors are open: the leak; closed ones are over on both sides, and ss does not show them; unaccepted ones have no descriptor yet and come on top", true,
		func(a, b *process) int { return cmp.Compare(a.Holder.Ended.Len(), b.Holder.Ended.Len()) }},
	{"rate", "Rate", "growth of the ended connections, by the trend of the last minutes", true,
		func(a, b *process) int { return cmp.Compare(a.Trend.Sockets.PerSecond, b.Trend.Sockets.PerSecond) }},
	{"other", "Other", "sockets in FIN_WAIT2, and sockets that were never connected", true,
		func(a, b *process) int { return cmp.Compare(a.Holder.Other.Len(), b.Holder.Other.Len()) }},
	{"oldest", "Age", "how long the oldest connection has been ended, and the ages of all", true, func(a, b *process) int { return cmp.Compare(a.oldest, b.oldest) }},
	{"unread", "Unread", "bytes on ended connections that the process has not read", true, func(a, b *process) int { return cmp.Compare(a.Ended.UnreadBytes, b.Ended.UnreadBytes) }},
	{"fds", "Descriptors", "open descriptors, soft limit and share", true, func(a, b *process) int { return cmp.Compare(a.used, b.used) }},
	{"left", "Left", "time until the descriptors run out, by the trend of the last minutes", false, compareLeft},
	{"service", "Service", "service with the most ended connections", false, func(a, b *process) int { return cmp.Compare(a.Service, b.Service) }},
	{"remote", "Peer", "remote address with the most ended connections", false, func(a, b *process) int { return cmp.Compare(a.Peer, b.Peer) }},
}

// compareLeft sorts processes whose descriptors do not run out to the end.
func compareLeft(a, b *process) int {
	switch {
	case a.Trend.RunsOut && b.Trend.RunsOut:
		return cmp.Compare(a.Trend.Left, b.Trend.Left)
	case a.Trend.RunsOut:
		return -1
	case b.Trend.RunsOut:
		return 1
	}
	return 0
}

// order is the order of the table. The zero order is the order of the report: worst first.
type order struct {
	*column
	descending bool
}

// orderOf reads the query parameters sort and order. It ignores unknown values.
func orderOf(query url.Values) order {
	i := slices.IndexFunc(columns, func(c column) bool { return c.key == query.Get("sort") })
	if i < 0 {
		return order{}
	}
	by := order{&columns[i], columns[i].descendingFirst}
	switch query.Get("order") {
	case "asc":
		by.descending = false
	case "desc":
		by.descending = true
	}
	return by
}

// Address is the address of the page in this order.
func (o order) Address() string {
	switch {
	case o.column == nil:
		return "./"
	case o.descending:
		return "?sort=" + o.key + "&order=desc"
	}
	return "?sort=" + o.key + "&order=asc"
}

// direction is the value of aria-sort.
func (o order) direction() string {
	if o.descending {
		return "descending"
	}
	return "ascending"
}

func (o order) words() string {
	if o.column == nil {
		return "worst first"
	}
	return "sorted by " + o.title + ", " + o.direction()
}

// heading is the heading of a column: a link that sorts by it or, if the table is sorted by it
// already, reverses the order.
type heading struct {
	Key, Title, About string
	Sorted            string // value of aria-sort; empty if the table is sorted by another column
	Link              string
}

func headings(by order) []heading {
	all := make([]heading, len(columns))
	for i := range columns {
		c := &columns[i]
		next := order{c, c.descendingFirst}
		all[i] = heading{Key: c.key, Title: c.title, About: c.about}
		if c == by.column {
			next.descending = !by.descending
			all[i].Sorted = by.direction()
		}
		all[i].Link = next.Address()
	}
	return all
}

// sort sorts by a column. Rows with equal values keep their order, worst first.
func (o order) sort(rows []*process) {
	if o.column == nil {
		return
	}
	slices.SortStableFunc(rows, func(a, b *process) int {
		if o.descending {
			return o.compare(b, a)
		}
		return o.compare(a, b)
	})
}
