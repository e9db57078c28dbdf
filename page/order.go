package page

import (
	"cmp"
	"net/url"
	"slices"
)

// column is one that the table of processes can be sorted by.
type column struct {
	key, title string
	about      string // what it is, for those who point at it
	downwards  bool   // at first, so that what is worst stands at the top
	compare    func(a, b *process) int
}

// columns in the order in which they are shown.
var columns = []column{
	{"group", "Group", "what survives a restart: systemd unit, container, or name", false,
		func(a, b *process) int { return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Comm, b.Comm)) }},
	{"pid", "PID", "process", false, func(a, b *process) int { return cmp.Compare(a.holder.ID.PID, b.holder.ID.PID) }},
	{"sockets", "Sockets", "in CLOSE_WAIT that it has a descriptor for", true,
		func(a, b *process) int { return cmp.Compare(a.holder.Held.Len(), b.holder.Held.Len()) }},
	{"unaccepted", "Queued", "in CLOSE_WAIT and not accepted yet", true,
		func(a, b *process) int { return cmp.Compare(a.holder.Unaccepted.Len(), b.holder.Unaccepted.Len()) }},
	{"defunct", "Defunct", "reset or given up, in no socket table, a descriptor each", true,
		func(a, b *process) int { return cmp.Compare(a.holder.Defunct.Len(), b.holder.Defunct.Len()) }},
	{"oldest", "Age", "of the oldest socket, and of all", true, func(a, b *process) int { return cmp.Compare(a.oldest, b.oldest) }},
	{"unread", "Unread", "bytes that it has not read", true, func(a, b *process) int { return cmp.Compare(a.Waiting.UnreadBytes, b.Waiting.UnreadBytes) }},
	{"fds", "Descriptors", "open, soft limit, and share", true, func(a, b *process) int { return cmp.Compare(a.used, b.used) }},
	{"service", "Service", "port with most of the sockets", false, func(a, b *process) int { return cmp.Compare(a.Service, b.Service) }},
	{"remote", "Peer", "address with most of the sockets", false, func(a, b *process) int { return cmp.Compare(a.Peer, b.Peer) }},
}

// order is how the table is sorted. The zero order is that of list: the worst first, by sockets of all kinds.
type order struct {
	*column
	descending bool
}

// orderOf reads what a link asks for: sort and order. What is unknown counts as not given.
func orderOf(query url.Values) order {
	i := slices.IndexFunc(columns, func(c column) bool { return c.key == query.Get("sort") })
	if i < 0 {
		return order{}
	}
	by := order{&columns[i], columns[i].downwards}
	switch query.Get("order") {
	case "asc":
		by.descending = false
	case "desc":
		by.descending = true
	}
	return by
}

// Address of the page in this order.
func (o order) Address() string {
	switch {
	case o.column == nil:
		return "./"
	case o.descending:
		return "?sort=" + o.key + "&order=desc"
	}
	return "?sort=" + o.key + "&order=asc"
}

// direction as aria-sort has it.
func (o order) direction() string {
	if o.descending {
		return "descending"
	}
	return "ascending"
}

func (o order) words() string {
	if o.column == nil {
		return "the worst first"
	}
	return "sorted by " + o.title + ", " + o.direction()
}

// heading is that of a column: a link that sorts by it or, where that is so, turns the order round.
type heading struct {
	Key, Title, About string
	Sorted            string // as aria-sort has it; empty where it is sorted by another column
	Link              string
}

func headings(by order) []heading {
	all := make([]heading, len(columns))
	for i := range columns {
		c := &columns[i]
		next := order{c, c.downwards}
		all[i] = heading{Key: c.key, Title: c.title, About: c.about}
		if c == by.column {
			next.descending = !by.descending
			all[i].Sorted = by.direction()
		}
		all[i].Link = next.Address()
	}
	return all
}

// sort sorts by a column; rows that are equal there stay as they are, the worst first.
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
