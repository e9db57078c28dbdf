package page

import (
	"net/url"
	"slices"

	"closewait_exporter/report"
)

// column is a column of the table of processes. The table can be sorted by each.
type column struct {
	key, title string
	about      string // tooltip
}

// columns in the order in which they are shown. A key of report.Orders each.
var columns = []column{
	{"group", "Group", "systemd unit, else pod, container or machine, else name: what survives a restart"},
	{"pid", "PID", "process"},
	{"sockets", "Sockets", "ended connections whose descriptors are open: the leak; closed ones are over on both sides, and ss does not show them; " +
		"unaccepted ones have no descriptor yet and come on top"},
	{"rate", "Rate", "growth of the ended connections, by the trend of the last minutes"},
	{"other", "Other", "sockets in FIN_WAIT2, and sockets that were never connected"},
	{"oldest", "Oldest", "how long the oldest connection has been ended, and the ages of all"},
	{"unread", "Unread", "bytes on ended connections that the process has not read"},
	{"fds", "FDs", "open descriptors, soft limit and share"},
	{"left", "Left", "time until the descriptors run out, by the trend of the last minutes"},
	{"service", "Service", "service with the most ended connections"},
	{"remote", "Remote", "remote address with the most ended connections"},
}

// order is the order of the table. The zero order is the order of the report: worst first.
type order struct {
	*column
	by *report.Order
}

// orderOf reads the query parameters sort and order. It ignores unknown values.
func orderOf(query url.Values) order {
	i := slices.IndexFunc(columns, func(c column) bool { return c.key == query.Get("sort") })
	if i < 0 {
		return order{}
	}
	by := order{&columns[i], report.OrderBy(columns[i].key)}
	switch query.Get("order") {
	case "asc":
		return by.sorted(false)
	case "desc":
		return by.sorted(true)
	}
	return by
}

// sorted is the order by the same column in one direction.
func (o order) sorted(descending bool) order {
	if o.by.Descending != descending {
		o.by = o.by.Reversed()
	}
	return o
}

// direction is the value of aria-sort.
func (o order) direction() string {
	if o.by.Descending {
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

func headings(by query) []heading {
	all := make([]heading, len(columns))
	for i := range columns {
		c := &columns[i]
		next := by
		next.order = order{c, report.OrderBy(c.key)}
		all[i] = heading{Key: c.key, Title: c.title, About: c.about}
		if c == by.column {
			next.order.by = by.by.Reversed()
			all[i].Sorted = by.direction()
		}
		all[i].Link = next.Address()
	}
	return all
}
