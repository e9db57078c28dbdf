package report

import (
	"cmp"
	"slices"

	"closewait_exporter/closewait"
)

// Order is a way to sort rows.
type Order struct {
	Key        string
	Descending bool // the end with the worst is at the top
	compare    func(a, b *Row) int
}

// Orders are all of them. Without an order, rows are in the order of closewait.Listed.
var Orders = []Order{
	{"group", false, func(a, b *Row) int { return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Comm, b.Comm)) }},
	{"pid", false, func(a, b *Row) int { return cmp.Compare(a.Holder.ID.PID, b.Holder.ID.PID) }},
	{"sockets", true, func(a, b *Row) int { return cmp.Compare(a.Holder.Ended.Len(), b.Holder.Ended.Len()) }},
	{"rate", true, func(a, b *Row) int { return cmp.Compare(a.Trend.Sockets.PerSecond, b.Trend.Sockets.PerSecond) }},
	{"closed", true, func(a, b *Row) int {
		return cmp.Compare(a.Holder.Ended.States[closewait.Closed], b.Holder.Ended.States[closewait.Closed])
	}},
	{"unaccepted", true, func(a, b *Row) int { return cmp.Compare(unaccepted(a.Holder), unaccepted(b.Holder)) }},
	{"other", true, func(a, b *Row) int { return cmp.Compare(a.Holder.Other.Len(), b.Holder.Other.Len()) }},
	{"oldest", true, func(a, b *Row) int { return b.Ages.Sockets[0].Since.Compare(a.Ages.Sockets[0].Since) }},
	{"unread", true, func(a, b *Row) int { return cmp.Compare(a.Ended.UnreadBytes, b.Ended.UnreadBytes) }},
	{"fds", true, func(a, b *Row) int { return cmp.Compare(a.fill(), b.fill()) }},
	{"left", false, compareLeft},
	{"service", false, func(a, b *Row) int { return cmp.Compare(a.Service, b.Service) }},
	{"remote", false, func(a, b *Row) int { return a.Ages.TopRemote.Addr.Compare(b.Ages.TopRemote.Addr) }},
}

// OrderBy returns the Order with a key, nil if there is none.
func OrderBy(key string) *Order {
	i := slices.IndexFunc(Orders, func(o Order) bool { return o.Key == key })
	if i < 0 {
		return nil
	}
	return &Orders[i]
}

// Reversed returns the opposite Order.
func (o Order) Reversed() *Order {
	o.Descending = !o.Descending
	return &o
}

// Sort sorts rows. Those with equal values keep their order.
func (o *Order) Sort(rows []Row) {
	slices.SortStableFunc(rows, func(a, b Row) int { return o.directed(&a, &b) })
}

// First returns the row that Sort would put at the top.
func (o *Order) First(rows []Row) *Row {
	first := &rows[0]
	for i := range rows {
		if o.directed(&rows[i], first) < 0 {
			first = &rows[i]
		}
	}
	return first
}

func (o *Order) directed(a, b *Row) int {
	if o.Descending {
		return o.compare(b, a)
	}
	return o.compare(a, b)
}

// fill is the used share of the descriptors, -1 where there is no limit or it is not known.
func (r *Row) fill() float64 {
	share, known := r.Holder.FDRatio()
	if !known || r.Holder.MaxFDs == closewait.UnlimitedFDs {
		return -1
	}
	return share
}

// compareLeft sorts processes whose descriptors do not run out to the end.
func compareLeft(a, b *Row) int {
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
