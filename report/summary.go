package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"closewait_exporter/closewait"
)

// Summary describes the whole host in a few lines, and counts what is not shown.
func (r *Report) Summary() []string {
	if r.decoded != nil {
		return r.decoded.summary()
	}
	lines := append(r.portLines(), r.verdict())
	lines = append(lines, r.stateLines()...)
	lines = append(lines, r.kernelLines()...)
	lines = append(append(lines, trendLines(r.History, r.Listed)...), r.scanLine())
	hidden := countHidden(r.View, r.Listed)
	if hidden.processes > 0 {
		lines = append(lines, fmt.Sprintf("Hidden: %s with %s not known to be %s old (--collector.min-age=0s shows all).",
			Count(hidden.processes, "process"), Count(hidden.sockets, "ended connection"), minAge(r.MinAge)))
	}
	if hidden.minor > 0 {
		lines = append(lines, fmt.Sprintf("Hidden: %s with fewer than %d sockets, none of an ended connection.", Count(hidden.minor, "process"), closewait.ManyOthers))
	}
	return lines
}

func (r *Report) verdict() string {
	sockets, all := r.View.Sockets.Total(), r.seen().all(closewait.EndedStates...)
	switch {
	case sockets == 0 && len(r.Unseen()) > 0:
		return "No ended connections found, but parts of this host could not be read."
	case sockets == 0 && !all:
		return "No ended connections are known to be held: no known leaks on this host."
	case sockets == 0 && len(r.Listed) > 0:
		return "No ended connections are held."
	case sockets == 0:
		return "No ended connections are held: no leaks on this host."
	case countLeaking(r.Listed) == 0 && len(r.Ownerless()) == 0:
		return fmt.Sprintf("No known leaks: of %s none is known to be %s old.", Count(sockets, "ended connection"), minAge(r.MinAge))
	}
	return r.totals()
}

// Total formats the number of ended connections on the host, each counted once.
func (r *Report) Total() string {
	return r.seen().count(r.View.Sockets.Total(), closewait.EndedStates...)
}

// totals formats the number of ended connections by owner, each counted once.
func (r *Report) totals() string {
	total := r.seen().atLeast(Count(r.View.Sockets.Total(), "ended connection"), closewait.EndedStates...)
	var parts []string
	for _, owner := range closewait.Owners {
		n := 0
		for _, family := range closewait.Families {
			n += r.View.Sockets.Of(family, owner)
		}
		words := OwnerWords[owner]
		if owner == closewait.OwnedByProcess {
			words = "held by " + Count(leakHolders(r.View), "process")
		}
		switch n {
		case 0:
		case r.View.Sockets.Total():
			return total + ", " + words + "."
		default:
			parts = append(parts, strconv.Itoa(n)+" "+words)
		}
	}
	return total + ": " + strings.Join(parts, ", ") + "."
}

// OwnerWords describe the owners of sockets.
var OwnerWords = map[closewait.Owner]string{
	closewait.OwnedByProcess:  "held by a process",
	closewait.OwnedByListener: "not accepted yet",
	closewait.OwnedByKernel:   "held by no process",
	closewait.OwnerUnresolved: "whose holder is not known",
}

// leakHolders counts the processes that have a descriptor for an ended socket.
func leakHolders(v *closewait.View) (n int) {
	for _, h := range v.Holders {
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
