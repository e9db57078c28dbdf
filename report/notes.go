package report

import (
	"fmt"
	"io"

	"closewait_exporter/closewait"
)

// Notes writes what could not be seen, and what to do about it. It writes nothing where all was seen.
func (r *Report) Notes(w io.Writer) error {
	notes := r.Unseen()
	if len(notes) > 0 {
		notes = append(notes, r.advice())
	}
	if ageless := agelessSockets(r.View); ageless > 0 {
		notes = append(notes, fmt.Sprintf("%s of unknown age: the table tells for how long this command has seen them, after a >", count(ageless, "socket")))
	}
	if len(notes) == 0 {
		return nil
	}
	for i := range notes {
		notes[i] = "note: " + notes[i]
	}
	return writeLines(w, notes)
}

// Unseen is what could not be seen.
func (r *Report) Unseen() []string {
	var unseen []string
	add := func(missing bool, format string, args ...any) {
		if missing {
			unseen = append(unseen, fmt.Sprintf(format, args...))
		}
	}
	add(r.Visibility.Fallback != "", "%s", Text(r.Visibility.Fallback))
	for _, lack := range r.Visibility.Missing {
		add(true, "without %s it cannot see: %s", lack.Capability, lack.Lost)
	}
	add(r.View.UnreadableNamespaces > 0, "%s could not be read", count(r.View.UnreadableNamespaces, "network namespace"))
	add(r.View.Denied > 0, "%s could not be looked into", count(r.View.Denied, "process"))
	unresolved := r.View.Sockets.Of(closewait.IPv4, closewait.OwnerUnresolved) + r.View.Sockets.Of(closewait.IPv6, closewait.OwnerUnresolved)
	add(unresolved > 0, "%s held by a process that could not be looked into, or by none", count(unresolved, "socket"))
	return unseen
}

// advice is what a person can do to see more.
func (r *Report) advice() string {
	if r.Visibility.Root {
		return "to see more, run it on the host, or give the container what is missing (docker run --pid=host --cap-add=...)"
	}
	return "to see more, run it as root: sudo closewait_exporter list"
}
