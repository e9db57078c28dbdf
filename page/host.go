package page

import (
	"fmt"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/report"
)

// totals are the sockets of the host, each counted once.
type totals struct {
	Families []string
	Rows     []totalsRow // ended connections by owner
	States   []fact      // sockets by state
}

type totalsRow struct {
	Owner  string
	Counts []int // by family
}

var familyWords = map[closewait.Family]string{closewait.IPv4: "IPv4", closewait.IPv6: "IPv6"}

func newTotals(r *report.Report) *totals {
	t := &totals{}
	for _, family := range closewait.Families {
		t.Families = append(t.Families, familyWords[family])
	}
	for _, owner := range closewait.Owners {
		row := totalsRow{Owner: report.OwnerWords[owner]}
		for _, family := range closewait.Families {
			row.Counts = append(row.Counts, r.View.Sockets.Of(family, owner))
		}
		t.Rows = append(t.Rows, row)
	}
	for _, s := range r.HostStates() {
		t.States = append(t.States, fact{s.State, s.Sockets})
	}
	return t
}

// visibility describes which parts of the host could be read.
type visibility struct {
	Facts  []fact
	Unseen []string // what could not be read
}

// fact is a name and its value.
type fact struct {
	Name, Value string
}

func newVisibility(r *report.Report) *visibility {
	return &visibility{
		Facts: []fact{
			{"Scanner", r.Visibility.Scanner},
			{"Network namespaces", fmt.Sprintf("%d read (requested: %s)", r.View.Namespaces, r.Visibility.Namespaces)},
			{"Scan duration", r.View.Took.Round(100 * time.Microsecond).String()},
			{"Minimum age", r.MinAge.String() + " (--collector.min-age)"},
		},
		Unseen: r.Unseen(),
	}
}
