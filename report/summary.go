package report

import (
	"fmt"
	"math"
	"strings"
	"time"

	"closewait_exporter/closewait"
)

// Summary says in a few lines what holds for the whole host, and what is not shown.
func (r *Report) Summary() []string {
	lines := append([]string{r.verdict()}, r.aboutDefunct()...)
	lines = append(lines, r.lookedAt())
	if processes, young := r.hidden(); processes > 0 {
		lines = append(lines, fmt.Sprintf("Hidden: %s with %s not known to be %s old (--collector.min-age=0s shows them).",
			count(processes, "process"), count(young, "socket"), minAge(r.MinAge)))
	}
	return lines
}

func (r *Report) verdict() string {
	sockets := r.View.Sockets.Total()
	defunct, _ := r.defunct()
	switch {
	case sockets+defunct == 0 && len(r.Unseen()) > 0:
		return "No socket in CLOSE_WAIT was seen, but not everything can be seen."
	case sockets+defunct == 0 && r.View.AllDefunct:
		return "No socket is in CLOSE_WAIT and none is defunct: nothing leaks here."
	case sockets+defunct == 0:
		return "No socket is in CLOSE_WAIT: nothing is known to leak here."
	case len(r.Listed) == 0 && len(r.Ownerless()) == 0:
		return fmt.Sprintf("Nothing leaks as far as is known: of %s none is known to be %s old.", stuck(sockets, defunct), minAge(r.MinAge))
	case sockets == 0:
		return "No socket is in CLOSE_WAIT."
	}
	return r.totals()
}

// stuck writes how many sockets there are in which state.
func stuck(sockets, defunct int) string {
	text := count(sockets, "socket") + " in CLOSE_WAIT"
	if defunct > 0 {
		text += fmt.Sprintf(" and %d defunct", defunct)
	}
	return text
}

// totals by owner count each socket once.
func (r *Report) totals() string {
	by := func(owner closewait.Owner) (n int) {
		for _, family := range closewait.Families {
			n += r.View.Sockets.Of(family, owner)
		}
		return n
	}
	var parts []string
	if held := by(closewait.OwnedByProcess); held > 0 {
		parts = append(parts, fmt.Sprintf("%d held by %s", held, count(r.holders(), "process")))
	}
	for _, rest := range []struct {
		owner closewait.Owner
		what  string
	}{
		{closewait.OwnedByListener, "not accepted yet"},
		{closewait.OwnedByKernel, "held by no process"},
		{closewait.OwnerUnresolved, "of unknown holder"},
	} {
		if n := by(rest.owner); n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, rest.what))
		}
	}
	return count(r.View.Sockets.Total(), "socket") + " in CLOSE_WAIT: " + strings.Join(parts, ", ") + "."
}

// holders counts the processes that have a descriptor of a socket in CLOSE_WAIT.
func (r *Report) holders() (n int) {
	for _, h := range r.View.Holders {
		if h.Held.Len() > 0 {
			n++
		}
	}
	return n
}

// lookedAt says how much of the host was seen, and by what. Coverage is rounded down: 100% means all.
func (r *Report) lookedAt() string {
	line := fmt.Sprintf("Looked at %s with the %s scanner in %s",
		count(r.View.Namespaces, "network namespace"), r.Visibility.Scanner, r.View.Took.Round(100*time.Microsecond))
	if r.View.Sockets.Total() == 0 {
		return line + "."
	}
	const thousand, ten = 1000, 10
	return fmt.Sprintf("%s; the owners of %g%% of all accepted sockets are known.", line, math.Floor(r.View.Coverage()*thousand)/ten)
}

// minAge is written as people give it, in parts of a second too.
func minAge(d time.Duration) string {
	if d < time.Minute {
		return d.String()
	}
	return Duration(d)
}
