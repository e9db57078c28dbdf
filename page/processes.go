package page

import (
	"strconv"
	"strings"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/report"
)

// maxRows is the maximum number of processes on the page. A host can have thousands.
const maxRows = 200

// processes is the table of leaking processes.
type processes struct {
	Caption  string
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

	oldest time.Duration // of Row.Ages
	used   float64       // share of the descriptors, -1 if Full is nil
	share  string        // used as text
}

// gauge is a bar with a width of 0 to 100.
type gauge struct {
	Width float64
	Level string
}

func newProcesses(r *report.Report, by order) *processes {
	p := &processes{
		Caption:  "Processes that hold ended connections or many other sockets, " + by.words(),
		Headings: headings(by),
		Classes:  ageClasses,
	}
	rows, most := make([]*process, len(r.Listed)), 0
	for i, h := range r.Listed {
		rows[i] = newProcess(r, h)
		most = max(most, rows[i].Ages.Len())
	}
	p.Tiles = tiles(r, rows)
	by.sort(rows)
	p.Omitted = max(len(rows)-maxRows, 0)
	p.Rows = rows[:len(rows)-p.Omitted]
	for _, row := range p.Rows {
		row.Bar = newAgeBar(&row.Ages, r.View.Taken, most)
	}
	return p
}

func newProcess(r *report.Report, h *closewait.Holder) *process {
	p := &process{Row: r.Row(h), used: -1}
	p.oldest, p.HasClosed = p.Ages.Oldest(r.View.Taken), h.Ended.States[closewait.Closed] > 0
	p.PeerShare, p.Peer, _ = strings.Cut(p.Remote, " ")
	if p.Peer == "" { // without an address there is no share
		p.PeerShare, p.Peer = "", p.Remote
	}
	if _, share, limited := strings.Cut(p.FDs, " "); limited {
		p.share = share
		p.used, _ = h.FDRatio()
		p.Full = &gauge{Width: 100 * min(p.used, 1), Level: level(p.used)}
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
func tiles(r *report.Report, rows []*process) []tile {
	most, oldest, fullest, next := rows[0], rows[0], rows[0], rows[0]
	for _, row := range rows {
		if row.Holder.Ended.Len() > most.Holder.Ended.Len() {
			most = row
		}
		if row.oldest > oldest.oldest {
			oldest = row
		}
		if row.used > fullest.used {
			fullest = row
		}
		if compareLeft(row, next) < 0 {
			next = row
		}
	}
	tiles := []tile{
		{Value: r.Total(), Label: "ended connections", Detail: most.Sockets + " held by " + most.Group},
		{Value: oldest.Oldest, Label: "age of the oldest", Detail: "in " + oldest.Group},
	}
	if fullest.Full != nil {
		tiles = append(tiles, tile{Value: fullest.share, Label: "of descriptors used", Detail: "by " + fullest.Group, Level: fullest.Full.Level})
	}
	if next.Left != "-" {
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
