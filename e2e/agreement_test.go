package e2e

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"closewait_exporter/internal/leaktest"
)

// summary describes the sockets that a process holds, according to ss, the metrics or list.
type summary struct {
	Sockets, Shared, Keepalive, Remotes int
	UnreadBytes                         uint64
	Unread                              map[string]int // by class
	Services                            map[string]int // by direction and port
}

// requireAgreement waits until a process is listed, compares what ss, the metrics and list report
// of it, and returns what all of them report. Its sockets must not be shared outside its family.
func requireAgreement(t *testing.T, e *exporter, pid int, family []int) summary {
	t.Helper()
	rows := heldBy(leaktest.SSOf(t, family), pid)
	m := e.await(func(m metrics) (bool, string) {
		return m.sockets(pid) == len(rows), fmt.Sprintf("process %d has %d sockets, ss lists %d", pid, m.sockets(pid), len(rows))
	})
	want := summaryOfSS(t, rows)
	if diff := cmp.Diff(want, summaryOfMetrics(m, pid)); diff != "" {
		t.Errorf("process %d in the metrics (-ss +metrics):\n%s", pid, diff)
	}
	l := list(t, "--collector.min-age=0s") // after a single scan the age of a socket on which data moves is unknown
	if diff := cmp.Diff(want, summaryOfList(l.process(t, pid))); diff != "" {
		t.Errorf("process %d in the list (-ss +list):\n%s", pid, diff)
	}
	var cookies, listed []string
	for _, row := range rows {
		cookie := strconv.FormatUint(row.Cookie, 16)
		if leaktest.TablesOnly() {
			cookie = ""
		}
		cookies = append(cookies, cookie)
	}
	for _, s := range l.socketsOf(pid) {
		listed = append(listed, s.Cookie)
	}
	slices.Sort(cookies)
	slices.Sort(listed)
	if diff := cmp.Diff(cookies, listed); diff != "" {
		t.Errorf("sockets of process %d in the list (-ss +list):\n%s", pid, diff)
	}
	return want
}

func heldBy(rows []leaktest.Row, pid int) []leaktest.Row {
	var held []leaktest.Row
	for _, row := range rows {
		if row.HeldBy(pid) {
			held = append(held, row)
		}
	}
	return held
}

// unknownService is the service of sockets of unknown direction, as metrics name it.
const unknownService = "unknown other"

func summaryOfSS(t *testing.T, rows []leaktest.Row) summary {
	t.Helper()
	listening := map[uint16]bool{}
	for _, row := range leaktest.SSOf(t, nil, "listening") {
		listening[row.Local.Port()] = true
	}
	found := summary{Sockets: len(rows), Unread: map[string]int{}, Services: map[string]int{}}
	remotes := map[netip.Addr]bool{}
	for _, row := range rows {
		remotes[row.Remote.Addr()] = true
		if slices.ContainsFunc(row.Users, func(u leaktest.User) bool { return u.PID != row.Users[0].PID }) {
			found.Shared++
		}
		if row.Timer == "keepalive" {
			found.Keepalive++
		}
		found.UnreadBytes += uint64(max(row.RecvQ, 1) - 1)
		found.Unread[[]string{"none", "fin", "data"}[min(row.RecvQ, 2)]]++
		switch {
		case listening[row.Local.Port()]:
			found.Services[fmt.Sprint("inbound ", row.Local.Port())]++
		case leaktest.TablesOnly(): // they do not show who has opened a connection
			found.Services[unknownService]++
		default:
			found.Services[fmt.Sprint("outbound ", row.Remote.Port())]++
		}
	}
	found.Remotes = len(remotes)
	return found
}

func summaryOfMetrics(m metrics, pid int) summary {
	m.t.Helper()
	one := func(name string) int { m.t.Helper(); return int(m.one("closewait_process_"+name, of(pid)...)) }
	found := summary{
		Sockets: m.sockets(pid), Shared: one("shared_sockets"), Keepalive: one("keepalive_sockets"),
		Remotes: one("remote_addresses"), UnreadBytes: uint64(one("recv_queue_bytes")),
		Unread: map[string]int{}, Services: map[string]int{},
	}
	for _, s := range m.all("closewait_process_sockets_by_unread", of(pid)...) {
		if s.value > 0 {
			found.Unread[s.labels["unread"]] = int(s.value)
		}
	}
	for _, s := range m.all("closewait_process_sockets_by_service", of(pid)...) {
		found.Services[s.labels["direction"]+" "+s.labels["port"]] = int(s.value)
	}
	return found
}

func summaryOfList(p listedProcess) summary {
	found := summary{
		Sockets: p.Sockets, Shared: p.Shared, Keepalive: p.Keepalive, Remotes: p.Addresses, UnreadBytes: p.RecvQueueBytes,
		Unread: map[string]int{}, Services: map[string]int{},
	}
	for class, n := range p.Unread {
		if n > 0 {
			found.Unread[class] = n
		}
	}
	for _, s := range p.Services {
		service := fmt.Sprint(s.Direction, " ", s.Port)
		if s.Port == 0 {
			service = unknownService
		}
		found.Services[service] = s.Sockets
	}
	return found
}
