package report

import (
	"fmt"
	"io"

	"closewait_exporter/closewait"
)

// Notes writes what could not be read and how to change that, in lines of at most width cells (0 =
// no limit). It writes nothing if all was read.
func (r *Report) Notes(w io.Writer, width int) error {
	notes := r.Unseen()
	if len(notes) > 0 && r.decoded == nil {
		notes = append(notes, advice(r.Visibility.Root))
	}
	if n := countLowerBounds(r.View); n > 0 {
		notes = append(notes, Count(n, "connection")+" had ended before this command started, and can be older than shown: the table marks such ages with >= or ?")
	}
	if len(notes) == 0 {
		return nil
	}
	for i := range notes {
		notes[i] = "note: " + notes[i]
	}
	return writeLines(w, wrap(notes, width))
}

// Unseen lists what could not be read.
func (r *Report) Unseen() []string {
	if r.decoded != nil {
		return r.decoded.unseen()
	}
	var unseen []string
	add := func(missing bool, format string, args ...any) {
		if missing {
			unseen = append(unseen, fmt.Sprintf(format, args...))
		}
	}
	add(r.Visibility.Fallback != "", "%s", Text(r.Visibility.Fallback))
	for _, m := range r.Visibility.Missing {
		unseen = append(unseen, m.String())
	}
	add(r.View.UnreadableNamespaces > 0, "%s could not be read", Count(r.View.UnreadableNamespaces, "network namespace"))
	add(r.View.Denied > 0, "the descriptors of %s could not be read", Count(r.View.Denied, "process"))
	unresolved := r.View.Sockets.Of(closewait.IPv4, closewait.OwnerUnresolved) + r.View.Sockets.Of(closewait.IPv6, closewait.OwnerUnresolved)
	add(unresolved > 0, "the holder of %s is not known", Count(unresolved, "socket"))
	return unseen
}

// advice is what a person can do to see more.
func advice(root bool) string {
	if root {
		return "to see more, run on the host, or give the container what is missing (docker run --pid=host --cap-add=...)"
	}
	return "to see more, run as root: sudo closewait_exporter list"
}
