package diagnose

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// stem is the name of a thread without its number, which the threads of a pool share:
// "http-exec-3" is of pool "http-exec".
func stem(name string) string {
	short := strings.TrimRight(name, "0123456789#-_/: ")
	return cmp.Or(short, name)
}

// pool is the number of threads that share a stem.
func (e *evaluation) pool(name string) (n int) {
	for _, t := range e.Threads {
		if stem(t.Name) == name {
			n++
		}
	}
	return n
}

// threadWait is a thread that waits for one connection.
type threadWait struct {
	*Thread
	socket *Socket
}

// waits are the threads that did not run, and that wait for one connection on which nothing has
// moved for long.
func (e *evaluation) waits() (list []threadWait) {
	for i := range e.Threads {
		t := &e.Threads[i]
		if !t.Still || t.Socket < 0 {
			continue
		}
		s := &e.Sockets[t.Socket]
		if s.State != Established && s.State != Connecting {
			continue
		}
		if waited := s.waited(e.Between); waited >= blocked || s.State == Connecting && waited > 0 {
			list = append(list, threadWait{t, s})
		}
	}
	return list
}

// doing says what a thread does, the same for all that do the same.
func (e *evaluation) doing(t *Thread) string {
	switch {
	case t.State == 'D':
		return "in uninterruptible sleep" + inside(t.Kernel)
	case t.State == 'R' || !t.Still:
		return "running"
	case t.Socket >= 0:
		return "in " + t.Call + "() on " + e.describe(&e.Sockets[t.Socket])
	case t.On != "":
		return "in " + t.Call + "() on " + t.On
	case t.Call == "futex":
		return "waiting for a lock, or for work (futex)"
	case t.Call != "":
		return "in " + t.Call + "()"
	}
	return "sleeping" + inside(t.Kernel)
}

func inside(function string) string {
	if function == "" {
		return ""
	}
	return " in " + function
}

// describe names a socket by its other end.
func (e *evaluation) describe(s *Socket) string {
	switch {
	case s.State == Listening:
		return "the listener " + address(s.Local)
	case s.Inbound && s.Peer.Place == OwnProcess:
		return fmt.Sprintf("a connection of its own to port %d", s.Local.Port())
	case s.Peer.Place == OwnProcess || s.Peer.Place == OwnQueue:
		return "a connection to itself, " + address(s.Remote)
	case s.Inbound:
		return "a connection of a client to port " + fmt.Sprint(s.Local.Port())
	}
	return "a connection to " + address(s.Remote)
}

// threadEvidence says what the threads do, the largest groups first, with those that wait for a
// connection before all others.
func (e *evaluation) threadEvidence() []string {
	const most = 4
	type group struct {
		stem, doing string
		tids, fds   []int
		weight      int
	}
	var groups []*group
	byKey := map[[2]string]*group{}
	for i := range e.Threads {
		t := &e.Threads[i]
		key := [2]string{stem(t.Name), e.doing(t)}
		g := byKey[key]
		if g == nil {
			g = &group{stem: key[0], doing: key[1]}
			byKey[key] = g
			groups = append(groups, g)
		}
		g.tids = append(g.tids, t.TID)
		g.weight++
		if t.Socket >= 0 {
			g.weight += len(e.Threads)
			g.fds = append(g.fds, e.Sockets[t.Socket].FD)
		}
	}
	slices.SortStableFunc(groups, func(a, b *group) int { return cmp.Compare(b.weight, a.weight) })
	var lines []string
	for _, g := range groups[:min(len(groups), most)] {
		line := fmt.Sprintf("%s %q %s %s", count(len(g.tids), "thread"), g.stem, is(len(g.tids)), g.doing)
		if len(g.fds) > 0 {
			line += fmt.Sprintf(" (descriptor %s)", first(g.fds, 5))
		}
		lines = append(lines, line+".")
	}
	if rest := len(groups) - most; rest > 0 {
		lines = append(lines, fmt.Sprintf("%s of threads more are not shown.", count(rest, "group")))
	}
	if e.ThreadsOmitted > 0 {
		lines = append(lines, fmt.Sprintf("%s were not read.", count(e.ThreadsOmitted, "further thread")))
	}
	return lines
}
