package e2e

import (
	"slices"
	"time"
)

// checkList compares list with the truth. A list that cannot see all closed sockets says so.
func (r *leakRun) checkList() {
	r.t.Helper()
	for _, o := range r.exporters {
		started := time.Now()
		l := list(r.t, "--collector.scanner="+o.scanner, "--collector.min-age=0s")
		for _, s := range r.servers {
			ends, n := s.ends(), l.sockets(s.pid)
			least, most := surely(ends, started), possibly(ends, l.Taken)
			if !o.allClosed && s.keepalive {
				least -= possibly(ends, l.Taken.Add(-beforeProbes))
			}
			if n < least || n > most {
				r.t.Errorf("list with the %s scanner: %v has %d sockets, want %d to %d", o.scanner, s, n, least, most)
			}
			r.checkListedAges(l, started, o, s, ends)
		}
	}
}

// checkListedAges compares the age of each socket with the clock of its client. A list has seen no
// socket before.
func (r *leakRun) checkListedAges(l listing, started time.Time, o *observed, s *hangingServer, ends []end) {
	r.t.Helper()
	for _, socket := range l.socketsOf(s.pid) {
		i := slices.IndexFunc(ends, func(e end) bool { return e.client == socket.Remote })
		if i < 0 {
			continue // ended meanwhile
		}
		age := time.Duration(socket.AgeSeconds * float64(time.Second))
		least, most := started.Sub(ends[i].to)-delivery, l.Taken.Sub(ends[i].from)+tick
		exact := o.kernelAge && socket.State == "close_wait"
		switch {
		case age > most:
			r.t.Errorf("list with the %s scanner: a socket of %v is %v old, want at most %v", o.scanner, s, age, most)
		case exact && age < least && (!s.keepalive || least < beforeProbes):
			r.t.Errorf("list with the %s scanner: a socket of %v is %v old, want at least %v", o.scanner, s, age, least)
		}
	}
}
