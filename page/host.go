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
	Rows     []totalsRow
}

type totalsRow struct {
	Owner  string
	Counts []int // by family
}

// ownerWords are the owners as people call them.
var ownerWords = map[closewait.Owner]string{
	closewait.OwnedByProcess:  "held by a process",
	closewait.OwnedByListener: "not accepted yet",
	closewait.OwnedByKernel:   "held by no process",
	closewait.OwnerUnresolved: "of unknown holder",
}

var familyWords = map[closewait.Family]string{closewait.IPv4: "IPv4", closewait.IPv6: "IPv6"}

func newTotals(r *report.Report) *totals {
	t := &totals{}
	for _, family := range closewait.Families {
		t.Families = append(t.Families, familyWords[family])
	}
	for _, owner := range closewait.Owners {
		row := totalsRow{Owner: ownerWords[owner]}
		for _, family := range closewait.Families {
			row.Counts = append(row.Counts, r.View.Sockets.Of(family, owner))
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// sight is how well the host can be seen.
type sight struct {
	Facts  []fact
	Unseen []string // what cannot be; empty where all can
}

// fact is a name and its value.
type fact struct {
	Name, Value string
}

func newSight(r *report.Report) *sight {
	return &sight{
		Facts: []fact{
			{"Scanner", r.Visibility.Scanner},
			{"Network namespaces", fmt.Sprintf("%d read (%s wanted)", r.View.Namespaces, r.Visibility.Namespaces)},
			{"Last scan took", r.View.Took.Round(100 * time.Microsecond).String()},
			{"Listed from", "an age of " + r.MinAge.String() + " on (--collector.min-age)"},
		},
		Unseen: r.Unseen(),
	}
}
