package page

import (
	"net/url"
	"strconv"

	"closewait_exporter/report"
)

// The bounds of the parameter refresh, in seconds. A shorter interval would keep the exporter
// scanning without a pause on a large host.
const (
	minRefresh     = 5
	maxRefresh     = 3600
	defaultRefresh = 10 // of the link
)

// query is what the parameters of the main page choose. All of its links keep the rest of it.
type query struct {
	order
	group   string // show only the processes of this group; empty: all
	port    uint16 // show only the processes with ended connections of this service; 0: all
	refresh int    // seconds; 0: do not refresh
}

// queryOf reads the parameters. It ignores invalid values.
func queryOf(values url.Values) query {
	q := query{order: orderOf(values), group: values.Get("group"), refresh: refreshOf(values)}
	if port, err := strconv.ParseUint(values.Get("port"), 10, 16); err == nil {
		q.port = uint16(port)
	}
	return q
}

func refreshOf(values url.Values) int {
	seconds, err := strconv.Atoi(values.Get("refresh"))
	if err != nil || seconds < minRefresh || seconds > maxRefresh {
		return 0
	}
	return seconds
}

// Address is the address of the page with this query.
func (q query) Address() string {
	address := ""
	add := func(name, value string) {
		if address += "&"; address == "&" {
			address = "?"
		}
		address += name + "=" + url.QueryEscape(value)
	}
	if q.group != "" {
		add("group", q.group)
	}
	if q.port != 0 {
		add("port", strconv.Itoa(int(q.port)))
	}
	if q.column != nil {
		add("sort", q.key)
		add("order", map[bool]string{false: "asc", true: "desc"}[q.by.Descending])
	}
	if q.refresh > 0 {
		add("refresh", strconv.Itoa(q.refresh))
	}
	if address == "" {
		return "./"
	}
	return address
}

// The queries of links.

func (q query) ofGroup(group string) query { q.group = group; return q }
func (q query) ofPort(port uint16) query   { q.port = port; return q }

// Unfiltered is the address of the page with all processes.
func (q query) Unfiltered() string { return q.ofGroup("").ofPort(0).Address() }

// Refreshing is the address of the page that refreshes itself or, if it does, of one that does not.
func (q query) Refreshing() string {
	q.refresh = toggled(q.refresh)
	return q.Address()
}

func toggled(refresh int) int {
	if refresh > 0 {
		return 0
	}
	return defaultRefresh
}

// Filter describes which processes are shown; it is empty if all are.
func (q query) Filter() string {
	words := ""
	if q.group != "" {
		words = "of group " + report.Text(q.group)
	}
	if q.port != 0 {
		if words != "" {
			words += " "
		}
		words += "with ended connections of service port " + strconv.Itoa(int(q.port))
	}
	return words
}

// selection is the selection of the report.
func (q query) selection() (s report.Selection) {
	if q.group != "" {
		s.Groups = []string{q.group}
	}
	if q.port != 0 {
		s.Ports = []uint16{q.port}
	}
	return s
}
