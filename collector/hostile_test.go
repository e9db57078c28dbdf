package collector

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"closewait_exporter/closewait"
)

// nameParts are parts of malicious names of processes, users and units.
var nameParts = []string{
	"", "a", "java", "\n", "\x00", "\xff", "\xe2\x80", "\u202e", "\u2028", `"`, `\`, `\n`, "{", "}", ",", "=", `",pid="1`, ") Z 1", "# EOF\n",
	"other", "container:", "\ufffd", "é", "🐘", strings.Repeat("x", 63), strings.Repeat("\xff", 30), strings.Repeat("/very-long", 400),
}

// generator makes Views with malicious names.
type generator struct{ *rand.Rand }

func newGenerator(seed uint64) generator { return generator{rand.New(rand.NewPCG(seed, 0))} }

func (g generator) name() string {
	var b strings.Builder
	for range g.IntN(4) {
		b.WriteString(nameParts[g.IntN(len(nameParts))])
	}
	return b.String()
}

func (g generator) count() uint64 {
	return []uint64{0, 1, g.Uint64N(5000), closewait.UnlimitedFDs - 1, closewait.UnlimitedFDs}[g.IntN(5)]
}

func (g generator) addr() netip.AddrPort {
	addrs := []netip.Addr{
		{}, netip.IPv6Unspecified(), netip.MustParseAddr("fe80::1%eth0"), netip.MustParseAddr("::ffff:127.0.0.1"),
		netip.AddrFrom4([4]byte{10, byte(g.IntN(4)), byte(g.IntN(4)), byte(g.IntN(4))}),
	}
	return netip.AddrPortFrom(addrs[g.IntN(len(addrs))], uint16(g.IntN(40)*g.IntN(1600)))
}

func (g generator) sockets() closewait.Holding {
	sockets := make([]*closewait.Socket, g.IntN(30))
	for i := range sockets {
		sockets[i] = &closewait.Socket{
			Facts: closewait.Facts{
				ID:    closewait.CookieID(closewait.NetNS(g.Uint64()), g.Uint64N(50)),
				Local: g.addr(), Remote: g.addr(), Inode: g.Uint64N(2),
				RecvQueue: g.Uint32N(3), SendQueue: g.Uint32(),
				Timer: closewait.Timer(g.Uint32N(256)), Direction: closewait.Direction(g.IntN(3)), State: closewait.State(g.IntN(4)),
			},
			Holders: []closewait.ProcessID{id(g.IntN(4)), id(g.IntN(4))}[:g.IntN(3)],
			Since:   taken.Add(time.Duration(g.Int64N(1<<50) - 1<<40)),
		}
	}
	return closewait.NewHolding(sockets)
}

func (g generator) view() *closewait.View {
	view := &closewait.View{Taken: taken, Took: time.Duration(g.Int64()), Complete: closewait.StateSet(g.IntN(1 << 4))}
	for range g.IntN(8) {
		view.Holders = append(view.Holders, &closewait.Holder{
			Process: closewait.Process{
				ID: id(g.IntN(4)), StartTime: time.Unix(g.Int64N(1<<40)-1<<39, 0), Comm: g.name(), Exe: g.name(), User: g.name(),
				Unit: g.name(), Container: g.name(), Pod: g.name(), NetNS: closewait.NetNS(g.Uint64()),
				FDsKnown: g.IntN(2) == 0, OpenFDs: g.count(), MaxFDs: g.count(),
			},
			Ended: g.sockets(), Unaccepted: g.sockets(), Other: g.sockets(), Entered: g.count(), Left: g.count(),
		})
	}
	return view
}

func (g generator) options() Options {
	o := options(g.view())
	o.PIDLabel = g.IntN(2) == 0
	o.MinAge = time.Duration(g.Int64N(int64(time.Hour)))
	o.MaxProcesses, o.MaxServices = g.IntN(9), g.IntN(4)
	o.AgeBuckets = ageBuckets[:g.IntN(len(ageBuckets))]
	return o
}

// checkHarmless gathers, parses and lints a scrape. Gathering fails if two series have the same
// labels.
func checkHarmless(t *testing.T, o Options) {
	t.Helper()
	g := New(o).Gatherer(t.Context())
	text := body(t, scrape(t, g, classicText))
	for _, accept := range []string{classicText, protobuf} {
		if f := families(t, g, accept); f["closewait_sockets"] == nil || f["closewait_scan_success"] == nil {
			t.Errorf("%s: only %d families:\n%s", accept, len(f), text)
		}
	}
	problems, err := promlint.New(bytes.NewReader(text)).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("lint: %v %v\n%s", err, problems, text)
	}
}

func TestNoProcessCanSpoilAScrape(t *testing.T) {
	for seed := range uint64(100) {
		checkHarmless(t, newGenerator(seed).options())
	}
}

func TestPromtoolHasNoObjectionToHostileProcesses(t *testing.T) {
	for seed := range uint64(10) {
		promtool(t, body(t, scrape(t, New(newGenerator(seed).options()).Gatherer(t.Context()), classicText)))
	}
}

func FuzzScrape(f *testing.F) {
	f.Add(uint64(1), "java", "/usr/bin/java\xff", "a\n.service", "4c01db0b339c\xe2\x80", "root\u202e")
	f.Fuzz(func(t *testing.T, seed uint64, comm, exe, unit, container, user string) {
		random := newGenerator(seed)
		view := random.view()
		view.Holders = append(view.Holders, &closewait.Holder{
			Process: closewait.Process{ID: id(1), Comm: comm, Exe: exe, Unit: unit, Container: container, Pod: user, User: user},
			Ended:   random.sockets(), Unaccepted: random.sockets(), Other: random.sockets(),
		})
		o := options(view)
		o.MaxProcesses, o.PIDLabel = len(view.Holders), random.IntN(2) == 0
		checkHarmless(t, o)
	})
}
