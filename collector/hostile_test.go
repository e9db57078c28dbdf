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

// splinters are parts of malicious names of processes, users and units.
var splinters = []string{
	"", "a", "java", "\n", "\x00", "\xff", "\xe2\x80", "\u202e", "\u2028", `"`, `\`, `\n`, "{", "}", ",", "=", `",pid="1`, ") Z 1", "# EOF\n",
	"other", "container:", "\ufffd", "é", "🐘", strings.Repeat("x", 63), strings.Repeat("\xff", 30), strings.Repeat("/very-long", 400),
}

// villain makes Views with malicious names.
type villain struct{ *rand.Rand }

func newVillain(seed uint64) villain { return villain{rand.New(rand.NewPCG(seed, 0))} }

func (v villain) name() string {
	var b strings.Builder
	for range v.IntN(4) {
		b.WriteString(splinters[v.IntN(len(splinters))])
	}
	return b.String()
}

func (v villain) count() uint64 {
	return []uint64{0, 1, v.Uint64N(5000), closewait.UnlimitedFDs - 1, closewait.UnlimitedFDs}[v.IntN(5)]
}

func (v villain) addr() netip.AddrPort {
	addrs := []netip.Addr{
		{}, netip.IPv6Unspecified(), netip.MustParseAddr("fe80::1%eth0"), netip.MustParseAddr("::ffff:127.0.0.1"),
		netip.AddrFrom4([4]byte{10, byte(v.IntN(4)), byte(v.IntN(4)), byte(v.IntN(4))}),
	}
	return netip.AddrPortFrom(addrs[v.IntN(len(addrs))], uint16(v.IntN(40)*v.IntN(1600)))
}

func (v villain) sockets() closewait.Holding {
	sockets := make([]*closewait.Socket, v.IntN(30))
	for i := range sockets {
		sockets[i] = &closewait.Socket{
			Facts: closewait.Facts{
				ID:    closewait.CookieID(closewait.NetNS(v.Uint64()), v.Uint64N(50)),
				Local: v.addr(), Remote: v.addr(), Inode: v.Uint64N(2),
				RecvQueue: v.Uint32N(3), SendQueue: v.Uint32(),
				Timer: closewait.Timer(v.Uint32N(256)), Direction: closewait.Direction(v.IntN(2)),
			},
			Holders: []closewait.ProcessID{id(v.IntN(4)), id(v.IntN(4))}[:v.IntN(3)],
			Since:   taken.Add(time.Duration(v.Int64N(1<<50) - 1<<40)),
		}
	}
	return closewait.NewHolding(sockets)
}

func (v villain) view() *closewait.View {
	view := &closewait.View{Taken: taken, Took: time.Duration(v.Int64()), AllDefunct: v.IntN(2) == 0}
	for range v.IntN(8) {
		view.Holders = append(view.Holders, &closewait.Holder{
			Process: closewait.Process{
				ID: id(v.IntN(4)), StartTime: time.Unix(v.Int64N(1<<40)-1<<39, 0), Comm: v.name(), Exe: v.name(), User: v.name(),
				Unit: v.name(), Container: v.name(), Pod: v.name(), NetNS: closewait.NetNS(v.Uint64()),
				FDsKnown: v.IntN(2) == 0, OpenFDs: v.count(), MaxFDs: v.count(),
			},
			Held: v.sockets(), Unaccepted: v.sockets(), Defunct: v.sockets(), Entered: v.count(), Left: v.count(),
		})
	}
	return view
}

func (v villain) options() Options {
	o := options(v.view())
	o.PIDLabel = v.IntN(2) == 0
	o.MinAge = time.Duration(v.Int64N(int64(time.Hour)))
	o.MaxProcesses, o.MaxServices = v.IntN(9), v.IntN(4)
	o.AgeBuckets = ageBuckets[:v.IntN(len(ageBuckets))]
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
		checkHarmless(t, newVillain(seed).options())
	}
}

func TestPromtoolHasNoObjectionToHostileProcesses(t *testing.T) {
	for seed := range uint64(10) {
		promtool(t, body(t, scrape(t, New(newVillain(seed).options()).Gatherer(t.Context()), classicText)))
	}
}

func FuzzScrape(f *testing.F) {
	f.Add(uint64(1), "java", "/usr/bin/java\xff", "a\n.service", "4c01db0b339c\xe2\x80", "root\u202e")
	f.Fuzz(func(t *testing.T, seed uint64, comm, exe, unit, container, user string) {
		v := newVillain(seed)
		view := v.view()
		view.Holders = append(view.Holders, &closewait.Holder{
			Process: closewait.Process{ID: id(1), Comm: comm, Exe: exe, Unit: unit, Container: container, Pod: user, User: user},
			Held:    v.sockets(), Unaccepted: v.sockets(), Defunct: v.sockets(),
		})
		o := options(view)
		o.MaxProcesses, o.PIDLabel = len(view.Holders), v.IntN(2) == 0
		checkHarmless(t, o)
	})
}
