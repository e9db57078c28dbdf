package page

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/history"
	"closewait_exporter/reaper/status"
	"closewait_exporter/report"
)

// now is the time of all fixtures.
var now = time.Date(2026, 11, 21, 9, 41, 7, 0, time.UTC)

// leak is a leaking process with sockets of these ages.
type leak struct {
	closewait.Process
	port       uint16
	direction  closewait.Direction
	remote     string
	unread     []uint32 // receive queues, in turn
	ages       []time.Duration
	unaccepted int
	closed     int

	finWait2, unconnected int
}

// spread returns n ages from the oldest to the youngest, with more young ones.
func spread(n int, oldest, youngest time.Duration) []time.Duration {
	ages := make([]time.Duration, n)
	for i := range ages {
		left := float64(n-1-i) / float64(max(n-1, 1))
		ages[i] = youngest + time.Duration(left*left*float64(oldest-youngest))
	}
	return ages
}

func (l *leak) holder(cookie *uint64) *closewait.Holder {
	l.ID.Start, l.FDsKnown = 1, true
	h := &closewait.Holder{Process: l.Process}
	var held, queued []*closewait.Socket
	for i, age := range l.ages {
		*cookie++
		s := &closewait.Socket{Since: now.Add(-age), FirstSeen: now.Add(-age / 2), QuietSince: now.Add(-age), Holders: []closewait.ProcessID{l.ID}}
		s.ID, s.Direction = closewait.CookieID(1, *cookie), l.direction
		s.Local, s.Remote = netip.MustParseAddrPort("10.0.0.5:40000"), netip.MustParseAddrPort(l.remote)
		if l.direction == closewait.Inbound {
			s.Local = netip.AddrPortFrom(s.Local.Addr(), l.port)
		} else {
			s.Remote = netip.AddrPortFrom(s.Remote.Addr(), l.port)
		}
		if len(l.unread) > 0 {
			s.RecvQueue = l.unread[i%len(l.unread)]
		}
		switch {
		case i < l.unaccepted:
			queued = append(queued, s)
		case i < l.unaccepted+l.closed:
			s.Inode, s.State = *cookie, closewait.Closed
			held = append(held, s)
		default:
			s.Inode = *cookie
			held = append(held, s)
		}
	}
	var others []*closewait.Socket
	for i := range l.finWait2 + l.unconnected {
		*cookie++
		s := &closewait.Socket{Since: now.Add(-time.Hour), FirstSeen: now.Add(-time.Hour), Holders: []closewait.ProcessID{l.ID}, AgeIsLowerBound: true}
		s.ID, s.Inode, s.State = closewait.CookieID(1, *cookie), *cookie, closewait.FinWait2
		if s.Local, s.Remote = netip.MustParseAddrPort("10.0.0.5:443"), netip.MustParseAddrPort("10.1.2.9:40000"); i >= l.finWait2 {
			s.State, s.Local, s.Remote = closewait.Unconnected, netip.AddrPort{}, netip.AddrPort{}
		}
		others = append(others, s)
	}
	h.Ended, h.Unaccepted, h.Other = closewait.NewHolding(held), closewait.NewHolding(queued), closewait.NewHolding(others)
	return h
}

// reportOf is a report about leaking processes.
func reportOf(leaks ...leak) *report.Report {
	v := &closewait.View{Taken: now, Took: 3200 * time.Microsecond, Namespaces: 7, Complete: closewait.NewStateSet(append(closewait.OtherStates, closewait.EndedStates...)...)}
	cookie := uint64(0)
	for i := range leaks {
		h := leaks[i].holder(&cookie)
		v.Holders = append(v.Holders, h)
		v.Sockets[closewait.IPv4][closewait.OwnedByProcess] += h.Ended.Len()
		v.Sockets[closewait.IPv4][closewait.OwnedByListener] += h.Unaccepted.Len()
	}
	return &report.Report{View: v, Listed: v.Holders, MinAge: time.Second, Visibility: closewait.Visibility{Scanner: "ebpf", Namespaces: "all", Root: true}}
}

func program(pid int, unit, comm string, openFDs, maxFDs uint64) closewait.Process {
	return closewait.Process{ID: closewait.ProcessID{PID: pid}, Comm: comm, Unit: unit, State: 'S', OpenFDs: openFDs, MaxFDs: maxFDs}
}

// shop is a host on a bad day.
func shop() *report.Report {
	const hour = time.Hour
	db := program(2207, "", "postgres", 64, closewait.UnlimitedFDs)
	db.Container = "f00dcafe0123456789abcdef"
	return reportOf(
		leak{program(4211, "shop.service", "java", 3871, 4096), 8080, closewait.Inbound, "10.1.2.3:51000", []uint32{0, 0, 0, 1}, spread(812, 31*hour, 20*time.Second), 0, 0, 0, 0},
		leak{program(31822, "billing-api.service", "gunicorn: worke", 402, 1024), 5432, closewait.Outbound, "10.0.7.7:5432", []uint32{1}, spread(174, 5*hour, 4*time.Minute), 0, 0, 0, 0},
		leak{program(77, "haproxy.service", "haproxy", 61, 1024), 443, closewait.Outbound, "10.0.9.1:443", []uint32{0}, spread(7, 20*time.Minute, 19*time.Minute), 0, 0, 7, 0},
		leak{Process: program(1203, "sync.service", "sync-agent", 58, 1024), finWait2: 2, unconnected: 14},
		leak{program(18, "reports.service", "python3", 41, 1024), 9000, closewait.Inbound, "127.0.0.1:33100", []uint32{301}, spread(6, 11*time.Minute, 10*time.Minute), 4, 0, 0, 0},
		leak{program(911, "gateway.service", "envoy", 1204, 65536), 443, closewait.Inbound, "203.0.113.9:40022", []uint32{0, 4097}, spread(58, 22*time.Minute, 2*time.Second), 0, 7, 0, 0},
		leak{db, 5432, closewait.Inbound, "10.0.0.5:39122", []uint32{0}, spread(9, 3*time.Minute, 9*time.Second), 0, 0, 0, 0},
	)
}

// shopOverTime is the shop with what the exporter remembers of the last minutes: two processes leak
// more and more.
func shopOverTime() *report.Report {
	r := shop()
	past := history.New()
	r.History = past
	for age := 20 * time.Minute; age >= 0; age -= 20 * time.Second {
		v := *r.View
		v.Taken, v.Holders = r.View.Taken.Add(-age), nil
		for _, h := range r.View.Holders {
			earlier := *h
			gone := map[string]int{"java": int(age / (15 * time.Second)), "gunicorn: worke": int(age / time.Minute)}[h.Comm]
			earlier.Ended.Sockets = h.Ended.Sockets[:h.Ended.Len()-gone]
			earlier.OpenFDs -= uint64(gone)
			v.Holders = append(v.Holders, &earlier)
		}
		past.Add(&v)
	}
	return r
}

// dryRunReaper is a reaper in dry run that would have acted on the shop.
func dryRunReaper() status.Status {
	at := func(ago time.Duration) time.Time { return now.Add(-ago) }
	entry := func(since, until time.Duration, still bool, group string, pid int, comm, what, why string) status.Entry {
		return status.Entry{Since: at(since), Until: at(until), Current: still, Rule: "java-leak", Mode: "dry_run", Group: group, PID: pid, Comm: comm, What: what, Why: why}
	}
	return status.Status{
		Rules:      []status.Rule{{Name: "java-leak", Mode: "dry_run", Matched: 1}, {Name: "billing-pool", Mode: "dry_run", Matched: 1}},
		BudgetLeft: 2, Budget: 3, Per: 10 * time.Minute, LastRound: at(2 * time.Second), Reloaded: true,
		Decisions: []status.Entry{
			entry(4*time.Minute, 2*time.Second, true, "shop.service", 4211, "java", "cooldown", "5m58s left, 0 relapses"),
			entry(4*time.Minute+5*time.Second, 4*time.Minute+5*time.Second, false, "shop.service", 4211, "java", "dry_run",
				"evidence: 790 of 812 sockets are evidence, 20 required, each at least 10m2s old and 10m2s quiet, 10m0s required, 22 not old enough; "+
					"for: enough evidence for 30s, 30s required; fds: 3871 of 4096 descriptors open, 80% required; actions left: 3"),
			{Since: at(40 * time.Minute), Until: at(2 * time.Second), Current: true, Rule: "billing-pool", Mode: "dry_run", Group: "billing-api.service", PID: 31822,
				Comm: "gunicorn: worke", What: "enough_fds", Why: "402 of 1024 descriptors open, 80% required"},
		},
		Actions: []status.Entry{
			entry(4*time.Minute+5*time.Second, 4*time.Minute+5*time.Second, false, "shop.service", 4211, "java", "signal KILL", ""),
			entry(4*time.Minute+5*time.Second, 4*time.Minute+5*time.Second, false, "shop.service", 4211, "java", "signal TERM", ""),
		},
	}
}

// names are possible names of processes.
var names = []string{
	"<script>alert(1)</script>", `"><img src=x onerror=alert(1)>`, "</title><script>", "{{.Host}}", "a\nroot 1 init", "\u202egpj.exe", "half\xe2\x82",
	"\x1b]0;pwn\x07", " ", "", "zero\u200bwidth", "日本語サーバー", "שלום", "javascript:alert(1)", "'onmouseover='alert(1)", strings.Repeat("W", 255),
}

// hostile is a host where processes have these names.
func hostile() *report.Report {
	var leaks []leak
	for i, name := range names {
		p := program(100+i, name, name, 10, 1024)
		leaks = append(leaks, leak{p, 80, closewait.Inbound, "[2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff]:40000", []uint32{1}, spread(1, time.Hour, time.Hour), 0, 0, 0, 0})
	}
	r := reportOf(leaks...)
	r.Visibility.Fallback = names[0]
	return r
}

// hostileReaper is a reaper about hostile processes.
func hostileReaper() status.Status {
	r := status.Status{Enforcing: true, Suspended: names[:1], LastRound: now}
	for i, name := range names {
		n := status.Entry{Since: now, Until: now, Rule: name, Mode: name, Group: name, PID: 100 + i, Comm: name, What: name, Why: name}
		r.Decisions, r.Actions, r.Rules = append(r.Decisions, n), append(r.Actions, n), append(r.Rules, status.Rule{Name: name, Mode: name})
	}
	return r
}

var errBroken = errors.New("list processes: open /proc: permission denied: give it CAP_SYS_PTRACE")

// pageOf is the page of a report; a nil reaper is off.
func pageOf(r *report.Report, err error, reaper func() status.Status) *Page {
	return New(Options{
		Host: "web-03", Version: "1.0.0", Documents: "docs/", Now: func() time.Time { return now }, Reaper: reaper,
		Links: []Link{
			{"Metrics", "metrics", "for Prometheus"}, {"Health", "-/healthy", "whether it answers"},
			{"Readiness", "-/ready", "whether a scan has succeeded"}, {"Runbook", "docs/RUNBOOK.md", "what to do"},
		},
		Report: func(context.Context) (*report.Report, error) { return r, err },
	})
}
