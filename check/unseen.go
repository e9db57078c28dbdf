package check

import (
	"closewait_exporter/closewait"
	"closewait_exporter/report"
)

// unseen lists what could not be read although it could violate a threshold.
func unseen(r *report.Report, m *metrics) []string {
	var list []string
	for _, missing := range r.Visibility.Missing {
		if missing.HidesSockets {
			list = append(list, missing.String())
		}
	}
	add := func(n int, noun, what string) {
		if n > 0 {
			list = append(list, report.Count(n, noun)+" "+what)
		}
	}
	add(r.View.UnreadableNamespaces, "network namespace", "could not be read")
	add(unresolved(r), "socket", report.OwnerWords[closewait.OwnerUnresolved])
	if !r.View.Complete.Has(closewait.Closed) && (m.age.used() || m.sockets.used() || m.fds.used()) {
		list = append(list, "closed sockets: the "+r.Visibility.Scanner+" scanner sees only those that it has seen before")
	}
	if m.age.used() {
		add(unknownAges(r, closewait.CloseWait), "socket", "in CLOSE_WAIT of unknown age")
	}
	if m.fds.used() {
		add(unknownFDs(r), "process", "with an unknown number of descriptors")
	}
	return list
}

// unresolved counts the old sockets whose holder was not found. Those that no process holds are no
// leak.
func unresolved(r *report.Report) (n int) {
	for _, s := range r.Ownerless() {
		if s.Owner != closewait.OwnedByKernel {
			n++
		}
	}
	return n
}

// unknownAges counts the sockets of listed processes in a state whose ages are not known, each
// once.
func unknownAges(r *report.Report, state closewait.State) int {
	found := map[closewait.SocketID]bool{}
	for _, h := range r.Listed {
		for _, holding := range []*closewait.Holding{&h.Ended, &h.Unaccepted} {
			for _, s := range holding.Sockets {
				if s.State == state && s.AgeIsLowerBound && s.Since.Equal(s.FirstSeen) {
					found[s.ID] = true
				}
			}
		}
	}
	return len(found)
}

// unknownFDs counts the listed processes whose open descriptors or limit could not be read.
func unknownFDs(r *report.Report) (n int) {
	for _, h := range r.Listed {
		if _, known := h.FDRatio(); !known {
			n++
		}
	}
	return n
}
