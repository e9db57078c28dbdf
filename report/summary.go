package report

import (
	"fmt"
	"math"
	"strings"
	"time"

	"closewait_exporter/closewait"
)

// Summary describes the whole host in a few lines, and counts what is not shown.
func (r *Report) Summary() []string {
	lines := append([]string{r.verdict()}, r.closedLines()...)
	lines = append(lines, r.scanLine())
	if processes, young := r.hidden(); processes > 0 {
		lines = append(lines, fmt.Sprintf("Hidden: %s with %s not known to be %s old (--collector.min-age=0s shows all).",
			Count(processes, "process"), Count(young, "socket"), minAge(r.MinAge)))
	}
	return lines
}

func (r *Report) verdict() string {
	sockets := r.View.Sockets.Total()
	switch {
	case sockets == 0 && len(r.Unseen()) > 0:
		return "No ended connections found, but parts of this host could not be read."
	case sockets == 0 && r.View.Complete.Has(closewait.Closed):
		return "No ended connections are held: no leaks on this host."
	case sockets == 0:
		return "No ended connections are known to be held: no known leaks on this host."
	case len(r.Listed) == 0 && len(r.Ownerless()) == 0:
		return fmt.Sprintf("No known leaks: of %s none is known to be %s old.", Count(sockets, "ended connection"), minAge(r.MinAge))
	}
	return r.totals()
}

// totals formats the number of sockets by owner, each counted once.
func (r *Report) totals() string {
	by := func(owner closewait.Owner) (n int) {
		for _, family := range closewait.Families {
			n += r.View.Sockets.Of(family, owner)
		}
		return n
	}
	var parts []string
	if held := by(closewait.OwnedByProcess); held > 0 {
		parts = append(parts, fmt.Sprintf("%d held by %s", held, Count(r.holders(), "process")))
	}
	for _, rest := range []struct {
		owner closewait.Owner
		what  string
	}{
		{closewait.OwnedByListener, "not accepted yet"},
		{closewait.OwnedByKernel, "held by no process"},
		{closewait.OwnerUnresolved, "without a known holder"},
	} {
		if n := by(rest.owner); n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, rest.what))
		}
	}
	return Count(r.View.Sockets.Total(), "ended connection") + ": " + strings.Join(parts, ", ") + "."
}

// holders counts the processes that have a descriptor for an ended socket.
func (r *Report) holders() (n int) {
	for _, h := range r.View.Holders {
		if h.Ended.Len() > 0 {
			n++
		}
	}
	return n
}

// scanLine describes the scan. The coverage is rounded down, so that 100% means all.
func (r *Report) scanLine() string {
	line := fmt.Sprintf("Scanned %s with the %s scanner in %s",
		Count(r.View.Namespaces, "network namespace"), r.Visibility.Scanner, r.View.Took.Round(100*time.Microsecond))
	if r.View.Sockets.Total() == 0 {
		return line + "."
	}
	const thousand, ten = 1000, 10
	return fmt.Sprintf("%s; owners known for %g%% of the accepted sockets.", line, math.Floor(r.View.Coverage()*thousand)/ten)
}

// minAge formats the minimum age the way it is given, including fractions of a second.
func minAge(d time.Duration) string {
	if d < time.Minute {
		return d.String()
	}
	return Duration(d)
}
