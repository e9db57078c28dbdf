package page

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/report"
)

// maxRows is the maximum number of processes on the page. A host can have thousands.
const maxRows = 1000

// processes is the table of leaking processes.
type processes struct {
	Caption  string
	Filter   string // which processes are shown; empty: all
	All      string // address of the page with all processes
	Headings []heading
	Rows     []*process
	Omitted  int
	Tiles    []tile
	Classes  []ageClass // legend of the bars
}

// process is a row of the table: the texts of the report, and bars.
type process struct {
	report.Row
	Bar             ageBar
	Full            *gauge // nil: there is no limit, or the number of open descriptors is not known
	HasClosed       bool   // some of its ended connections are over on both sides
	Causes          string // number of sockets by what is unread
	Peer, PeerShare string

	Address   string     // of the page of the process
	OfGroup   string     // address of the page with this group alone
	OfService string     // the same for the service; empty: it has no port of its own
	Course    *sparkline // nil: not enough is remembered
}

// gauge is a bar with a width of 0 to 100.
type gauge struct {
	Width float64
	Share string // of the descriptors that are open
	Level string
}

// newGauge returns nil if there is no limit of descriptors, or it is not known how many are open.
func newGauge(row *report.Row) *gauge {
	_, share, limited := strings.Cut(row.FDs, " ")
	if !limited {
		return nil
	}
	used, _ := row.Holder.FDRatio()
	return &gauge{Width: 100 * min(used, 1), Share: share, Level: level(used)}
}

func newProcesses(r *report.Report, by query) *processes {
	p := &processes{
		Caption:  "Processes that hold ended connections or many other sockets, " + by.words(),
		Filter:   by.Filter(),
		All:      by.Unfiltered(),
		Headings: headings(by),
		Classes:  ageClasses,
	}
	rows, most := r.Rows(), 0
	p.Tiles = tiles(r, rows)
	if p.Filter != "" {
		filtered := *r
		filtered.Selection = by.selection()
		rows = filtered.Rows()
	}
	for i := range rows {
		most = max(most, rows[i].Ages.Len())
	}
	if by.by != nil {
		by.by.Sort(rows)
	}
	p.Omitted = max(len(rows)-maxRows, 0)
	for i := range rows[:len(rows)-p.Omitted] {
		p.Rows = append(p.Rows, newProcess(&rows[i], r, most, by))
	}
	return p
}

// newProcess makes a row of a report. most is the number of sockets of the longest bar.
func newProcess(row *report.Row, r *report.Report, most int, by query) *process {
	p := &process{Row: *row, HasClosed: row.Holder.Ended.States[closewait.Closed] > 0, Bar: newAgeBar(&row.Ages, r.View.Taken, most), Full: newGauge(row)}
	if r.History != nil {
		p.Course = newSparkline(r.History.Points(row.Holder.ID))
	}
	p.Address, p.OfGroup = processAddress(row.Holder.ID.PID, by.refresh), by.ofGroup(row.Holder.Group()).Address()
	if port := row.Ages.Services[0].Port; port != 0 && row.Ended.Len() > 0 {
		p.OfService = by.ofPort(port).Address()
	}
	p.PeerShare, p.Peer, _ = strings.Cut(p.Remote, " ")
	if p.Peer == "" { // without an address there is no share
		p.PeerShare, p.Peer = "", p.Remote
	}
	for _, class := range closewait.Unreads {
		if n := p.Ended.Unread[class]; n > 0 {
			p.Causes = strings.TrimPrefix(p.Causes+" · "+strconv.Itoa(n)+" "+class.String(), " · ")
		}
	}
	return p
}

// level classifies a share of the descriptors. At 100 % accept() fails.
func level(share float64) string {
	const high, critical = 0.8, 0.95
	switch {
	case share >= critical:
		return "critical"
	case share >= high:
		return "high"
	}
	return "normal"
}

// tiles summarise the host and its worst processes.
func tiles(r *report.Report, rows []report.Row) []tile {
	first := func(key string) *report.Row { return report.OrderBy(key).First(rows) }
	most := first("sockets")
	tiles := []tile{{Value: r.Total(), Label: "ended connections", Detail: most.Sockets + " held by " + most.Group}}
	ended := slices.DeleteFunc(slices.Clone(rows), func(row report.Row) bool { return row.Ended.Len() == 0 })
	if len(ended) > 0 {
		oldest := report.OrderBy("oldest").First(ended)
		tiles = append(tiles, tile{Value: oldest.Oldest, Label: "age of the oldest", Detail: "in " + oldest.Group})
	}
	if fullest := first("fds"); newGauge(fullest) != nil {
		full := newGauge(fullest)
		tiles = append(tiles, tile{Value: full.Share, Label: "of descriptors used", Detail: "by " + fullest.Group, Level: full.Level})
	}
	if next := first("left"); next.Left != "-" {
		tiles = append(tiles, tile{Value: next.Left, Label: "until exhaustion", Detail: "of descriptors in " + next.Group + " (" + next.Rate + ")", Level: urgency(next.Trend.Left)})
	}
	return tiles
}

// urgency classifies the time until the descriptors run out as the alerts do.
func urgency(left time.Duration) string {
	const warning, critical = 4 * time.Hour, time.Hour
	switch {
	case left <= critical:
		return "critical"
	case left <= warning:
		return "high"
	}
	return "normal"
}
