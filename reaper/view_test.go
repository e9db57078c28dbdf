package reaper

import (
	"net/netip"
	"regexp"
	"time"

	"closewait_exporter/closewait"
)

var epoch = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

const testNS closewait.NetNS = 4026531840

var (
	alice = closewait.ProcessID{PID: 10, Start: 100}
	bob   = closewait.ProcessID{PID: 11, Start: 110}
	carol = closewait.ProcessID{PID: 12, Start: 120}
	dave  = closewait.ProcessID{PID: 13, Start: 130}
)

// socket is an outbound one in CLOSE_WAIT, first seen and quiet since then.
func socket(cookie uint64, since time.Duration, change ...func(*closewait.Socket)) *closewait.Socket {
	s := &closewait.Socket{
		Facts: closewait.Facts{
			ID:        closewait.CookieID(testNS, cookie),
			Local:     netip.MustParseAddrPort("10.0.0.1:40000"),
			Remote:    netip.MustParseAddrPort("192.0.2.1:5432"),
			Inode:     1000 + cookie,
			Direction: closewait.Outbound,
		},
		FirstSeen:  epoch.Add(since),
		Since:      epoch.Add(since),
		QuietSince: epoch.Add(since),
	}
	for _, f := range change {
		f(s)
	}
	return s
}

// sockets are n of them, with cookies from first on.
func sockets(n int, first uint64, since time.Duration, change ...func(*closewait.Socket)) []*closewait.Socket {
	list := make([]*closewait.Socket, n)
	for i := range list {
		list[i] = socket(first+uint64(i), since, change...)
	}
	return list
}

func from(remote string) func(*closewait.Socket) {
	return func(s *closewait.Socket) {
		s.Direction = closewait.Inbound
		s.Local, s.Remote = netip.MustParseAddrPort("10.0.0.1:8080"), netip.MustParseAddrPort(remote)
	}
}

func quietSince(at time.Duration) func(*closewait.Socket) {
	return func(s *closewait.Socket) { s.QuietSince = epoch.Add(at) }
}

func moving(s *closewait.Socket) { s.QuietSince = time.Time{} }

func firstSeen(at time.Duration) func(*closewait.Socket) {
	return func(s *closewait.Socket) { s.FirstSeen = epoch.Add(at) }
}

func sharedBy(ids ...closewait.ProcessID) func(*closewait.Socket) {
	return func(s *closewait.Socket) { s.Holders = ids }
}

// holder is a process of its own group that holds sockets; those that name no holders are its own.
func holder(id closewait.ProcessID, held []*closewait.Socket, change ...func(*closewait.Process)) *closewait.Holder {
	h := &closewait.Holder{Process: closewait.Process{
		ID: id, Comm: map[int]string{10: "alice", 11: "bob", 12: "carol", 13: "dave"}[id.PID], Exe: "/usr/bin/server", State: 'S', User: "www",
		FDsKnown: true, OpenFDs: 100, MaxFDs: 1000,
	}}
	for _, s := range held {
		if s.Holders == nil {
			s.Holders = []closewait.ProcessID{id}
		}
	}
	h.Held = closewait.NewHolding(held)
	for _, f := range change {
		f(&h.Process)
	}
	return h
}

func defunct(s *closewait.Socket) { s.Defunct = true }

// withDefunct gives a holder sockets that are defunct.
func withDefunct(h *closewait.Holder, list []*closewait.Socket) *closewait.Holder {
	for _, s := range list {
		defunct(s)
		if s.Holders == nil {
			s.Holders = []closewait.ProcessID{h.ID}
		}
	}
	h.Defunct = closewait.NewHolding(list)
	return h
}

func includeDefunct(r *Rule) { r.When.IncludeDefunct = true }

func unit(name string) func(*closewait.Process) { return func(p *closewait.Process) { p.Unit = name } }
func exe(path string) func(*closewait.Process)  { return func(p *closewait.Process) { p.Exe = path } }
func state(letter byte) func(*closewait.Process) {
	return func(p *closewait.Process) { p.State = letter }
}
func openFDs(n uint64) func(*closewait.Process) { return func(p *closewait.Process) { p.OpenFDs = n } }
func fdsUnknown(p *closewait.Process)           { p.FDsKnown = false }

// view is taken at a time after epoch.
func view(at time.Duration, holders ...*closewait.Holder) *closewait.View {
	return &closewait.View{Taken: epoch.Add(at), Namespaces: 1, Holders: holders}
}

// rule is one that ends whoever holds two sockets for a minute.
func rule(change ...func(*Rule)) Rule {
	r := Rule{
		Name:     "leak",
		Mode:     Enforce,
		Match:    Match{Exe: regexp.MustCompile(`^(?:/usr/.*)$`)},
		When:     When{Sockets: 2, Age: time.Minute},
		Steps:    []Step{{Kind: StepSignal, Signal: "TERM", Wait: 10 * time.Second}, {Kind: StepSignal, Signal: "KILL", Wait: 5 * time.Second}},
		Cooldown: 10 * time.Minute,
	}
	for _, f := range change {
		f(&r)
	}
	return r
}

func config(rules ...Rule) *Config {
	return &Config{Limits: Limits{Actions: 3, Per: 10 * time.Minute}, Interval: time.Minute, Rules: rules}
}

func policy(rules ...Rule) *Policy { return NewPolicy(config(rules...), Terms{Enforce: true}) }
