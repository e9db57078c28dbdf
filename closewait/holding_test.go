package closewait

import (
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func socket(remote string, edit ...func(*Socket)) *Socket {
	s := &Socket{Facts: Facts{
		ID:     CookieID(testNS, rand.Uint64()),
		Local:  netip.MustParseAddrPort("10.0.0.1:8080"),
		Remote: netip.MustParseAddrPort(remote),
	}, Since: epoch}
	for _, e := range edit {
		e(s)
	}
	return s
}

func TestHoldingCountsWhatIsUnread(t *testing.T) {
	queue := func(recv, send uint32) func(*Socket) {
		return func(s *Socket) { s.RecvQueue, s.SendQueue = recv, send }
	}
	h := NewHolding([]*Socket{
		socket("192.0.2.1:1", queue(0, 0)),
		socket("192.0.2.1:2", queue(1, 7)),
		socket("192.0.2.1:3", queue(1, 0)),
		socket("192.0.2.1:4", queue(6, 3)),
	})
	if want := [...]int{UnreadNone: 1, UnreadFIN: 2, UnreadData: 1}; h.Unread != want {
		t.Errorf("unread classes %v, want %v", h.Unread, want)
	}
	if h.UnreadBytes != 5 || h.SendBytes != 10 {
		t.Errorf("%d bytes unread and %d to send, want 5 (the FIN is no byte) and 10", h.UnreadBytes, h.SendBytes)
	}
}

func TestHoldingCountsLowerBounds(t *testing.T) {
	lower := func(s *Socket) { s.AgeIsLowerBound = true }
	h := NewHolding([]*Socket{socket("192.0.2.1:1"), socket("192.0.2.1:2", lower), socket("192.0.2.1:3", lower)})
	if h.LowerBounds != 2 {
		t.Errorf("%d lower bounds, want 2", h.LowerBounds)
	}
}

func TestHoldingRanksServicesAndRemotes(t *testing.T) {
	inbound := func(s *Socket) { s.Direction = Inbound }
	outbound := func(s *Socket) { s.Direction = Outbound }
	intercepted := func(s *Socket) { s.Direction, s.PeerChosePort = Inbound, true }
	h := NewHolding([]*Socket{
		socket("192.0.2.1:40000", inbound), socket("192.0.2.1:40001", inbound), socket("192.0.2.9:40002", inbound),
		socket("198.51.100.5:5432", outbound), socket("198.51.100.6:5432", outbound), socket("198.51.100.6:6379"),
		socket("[::ffff:192.0.2.9]:1", inbound), socket("[2001:db8::1]:443", outbound), socket("[2001:db8::2:0:0:0:1]:443"),
		socket("[2001:db8::1]:1", intercepted), socket("[2001:db8::2:0:0:0:1]:2", intercepted),
	})
	wantServices := []Service{{Inbound, 8080, 4}, {Inbound, 0, 2}, {Outbound, 5432, 2}, {UnknownDirection, 0, 2}, {Outbound, 443, 1}}
	if diff := cmp.Diff(wantServices, h.Services); diff != "" {
		t.Errorf("services (-want +got):\n%s", diff)
	}
	if h.RemoteAddresses != 6 {
		t.Errorf("%d remote addresses, want 6: a v4-mapped address is the IPv4 one", h.RemoteAddresses)
	}
	if want := (Remote{netip.MustParseAddr("192.0.2.1"), 2}); h.TopRemote != want {
		t.Errorf("top remote %v, want %v", h.TopRemote, want)
	}
	if want := (Network{netip.MustParsePrefix("192.0.2.0/24"), 4}); h.TopNetwork != want {
		t.Errorf("top network %v, want %v", h.TopNetwork, want)
	}
}

func TestHoldingTellsLocalPeers(t *testing.T) {
	for remote, local := range map[string]bool{
		"127.0.0.1:1": true, "[::1]:1": true, "[::ffff:127.8.8.8]:1": true, "10.0.0.1:1": true, "[::ffff:10.0.0.1]:1": true,
		"10.0.0.2:1": false, "[2001:db8::1]:1": false,
	} {
		if got := socket(remote).LocalPeer(); got != local {
			t.Errorf("peer %s is local: %v, want %v", remote, got, local)
		}
	}
}

// TestAgesAgreeWithCountingOneByOne compares the histogram by binary search with the plain one.
func TestAgesAgreeWithCountingOneByOne(t *testing.T) {
	bounds := []float64{1, 10, 60, 300}
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var sockets []*Socket
		want := NewHistogram(bounds)
		for range random.IntN(50) {
			age := time.Duration(random.IntN(400)) * time.Second
			sockets = append(sockets, socket("192.0.2.1:1", func(s *Socket) { s.Since = epoch.Add(-age) }))
			want.observe(age.Seconds())
		}
		h := NewHolding(sockets)
		got := h.Ages(epoch, bounds)
		if !slices.Equal(got.Counts, want.Counts) || got.Count != want.Count || math.Abs(got.Sum-want.Sum) > 1e-6 {
			t.Fatalf("got %+v, want %+v", got, want)
		}
	}
}

func TestActiveSocketsAreOldAndHaveMovedSince(t *testing.T) {
	const age = 5 * time.Minute
	quiet := func(since, quiet time.Duration) func(*Socket) {
		return func(s *Socket) { s.Since, s.QuietSince = epoch.Add(since), epoch.Add(quiet) }
	}
	moving := func(since time.Duration) func(*Socket) {
		return func(s *Socket) { s.Since, s.QuietSince = epoch.Add(since), time.Time{} }
	}
	for name, test := range map[string]struct {
		socket func(*Socket)
		want   int
	}{
		"leaked, quiet since its end":         {quiet(-time.Hour, -time.Hour), 0},
		"the FIN was read at once":            {quiet(-time.Hour, -time.Hour+time.Second), 0},
		"data is in its send queue":           {moving(-time.Hour), 1},
		"data has moved within five minutes":  {quiet(-time.Hour, -age), 1},
		"data has not moved for five minutes": {quiet(-time.Hour, -age-1), 0},
		"young and moving":                    {moving(-age), 0},
	} {
		t.Run(name, func(t *testing.T) {
			h := NewHolding([]*Socket{socket("192.0.2.1:1", test.socket), socket("192.0.2.1:2", quiet(-2*time.Hour, -2*time.Hour))})
			if got := h.Active(age, epoch); got != test.want {
				t.Errorf("%d active sockets, want %d", got, test.want)
			}
		})
	}
}

func TestGroupIsWhatSurvivesARestart(t *testing.T) {
	id := "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	for want, p := range map[string]Process{
		"web.service":                   {Unit: "web.service", Container: id, Comm: "java"},
		"pod:9508fe66":                  {Pod: "9508fe66", Container: id, Comm: "java"},
		"container:0123456789ab":        {Container: id, Comm: "java"},
		"container:0123":                {Container: "0123", Comm: "java"},
		"user@1000.service/web.service": {Nested: "user@1000.service/web.service", Comm: "java"},
		"container:0123/web.service":    {Nested: "container:0123/web.service", Container: "0123", Comm: "java"},
		"java":                          {Comm: "java"},
		"":                              {},
		// No process can have the group of another kind by its comm.
		"comm:web.service":  {Comm: "web.service"},
		"comm:container:01": {Comm: "container:01"},
		"comm:pod:9508fe66": {Comm: "pod:9508fe66"},
		"comm:lxc:101":      {Comm: "lxc:101"},
		"comm:machine:a":    {Comm: "machine:a"},
		"comm:user@0.x":     {Comm: "user@0.x"},
		"comm:comm:x":       {Comm: "comm:x"},
	} {
		if got := p.Group(); got != want {
			t.Errorf("group of %+v is %q, want %q", p, got, want)
		}
		if got, want := p.GroupedByComm(), p.Unit+p.Pod+p.Container+p.Nested == ""; got != want {
			t.Errorf("%+v is grouped by comm: %v, want %v", p, got, want)
		}
	}
}
