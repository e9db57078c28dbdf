package closewait

import (
	"cmp"
	"net/netip"
	"slices"
	"sort"
	"time"
)

// Holding is a set of sockets with all statistics that need no clock. It is computed when the set
// changes, and shared by all Views until it changes again.
type Holding struct {
	Sockets []*Socket // oldest first

	States                       [states]int  // sockets by state
	Unread                       [unreads]int // sockets in CLOSE_WAIT by what is unread, where that is known
	UnreadBytes, SendBytes       uint64       // payload in the receive and send queues
	Shared, Keepalive, LocalPeer int          // sockets with several holders, an armed keepalive, a peer on this host
	LowerBounds                  int          // sockets whose age is a lower bound; if there are any, so is the age of the oldest
	Contested                    int          // unaccepted sockets that may be in the queue of another process

	Services        []Service // most sockets first
	RemoteAddresses int       // number of distinct addresses
	TopRemote       Remote    // the most frequent address
	TopNetwork      Network   // the most frequent /24 (IPv6: /64)

	moved   []*Socket // something has moved since the end, or is moving
	younger float64   // sum of the seconds by which the sockets are younger than the oldest
}

// Service is a port that this host serves or connects to. All sockets of a direction for which
// Facts.Port is 0 are one service.
type Service struct {
	Direction Direction
	Port      uint16 // see Facts.Port
	Sockets   int
}

// Remote is a remote address with its number of sockets.
type Remote struct {
	Addr    netip.Addr
	Sockets int
}

// Network is a remote network with its number of sockets.
type Network struct {
	Prefix  netip.Prefix
	Sockets int
}

// NewHolding computes the Holding of sockets; it keeps and sorts the slice.
func NewHolding(sockets []*Socket) Holding {
	h := Holding{Sockets: sockets}
	if len(sockets) == 0 {
		return h
	}
	sortByAge(sockets)
	services := map[Service]int{}
	remotes := map[netip.Addr]int{}
	for _, s := range sockets {
		h.add(s)
		h.younger += s.Since.Sub(sockets[0].Since).Seconds()
		services[Service{Direction: s.Direction, Port: s.Port()}]++
		remotes[s.Remote.Addr().Unmap()]++
	}
	h.rankServices(services)
	h.rankRemotes(remotes)
	return h
}

// sortByAge sorts the oldest first. It copies the times into one slice, because the sockets are
// spread over the heap and fetching them would take most of the time.
func sortByAge(sockets []*Socket) {
	type entry struct {
		since  int64 // nanoseconds after the Since of the first
		socket *Socket
	}
	entries := make([]entry, len(sockets))
	for i, s := range sockets {
		entries[i] = entry{int64(s.Since.Sub(sockets[0].Since)), s}
	}
	slices.SortFunc(entries, func(a, b entry) int {
		if c := cmp.Compare(a.since, b.since); c != 0 {
			return c
		}
		return a.socket.ID.compare(b.socket.ID)
	})
	for i, e := range entries {
		sockets[i] = e.socket
	}
}

// Len is the number of sockets.
func (h *Holding) Len() int { return len(h.Sockets) }

// Oldest is the age of the oldest socket at the time now, 0 if there is none.
func (h *Holding) Oldest(now time.Time) time.Duration {
	if len(h.Sockets) == 0 {
		return 0
	}
	return h.Sockets[0].Age(now)
}

// Older is the number of sockets that are more than an age old at the time now.
func (h *Holding) Older(age time.Duration, now time.Time) int {
	return sort.Search(len(h.Sockets), func(i int) bool { return h.Sockets[i].Age(now) <= age })
}

// Active is the number of sockets that are more than an age old and on which something has moved
// since then, at the time now: the program still sends to a peer that has closed its half.
func (h *Holding) Active(age time.Duration, now time.Time) (n int) {
	for _, s := range h.moved {
		if s.Age(now) > age && s.Quiet(now) <= age {
			n++
		}
	}
	return n
}

// Ages is the histogram of the ages in seconds at the time now. It costs one binary search per
// bound.
func (h *Holding) Ages(now time.Time, bounds []float64) Histogram {
	ages := NewHistogram(bounds)
	ages.Count = uint64(len(h.Sockets))
	for i, bound := range bounds {
		younger := sort.Search(len(h.Sockets), func(j int) bool {
			return h.Sockets[j].Age(now).Seconds() <= bound
		})
		ages.Counts[i] = uint64(len(h.Sockets) - younger)
	}
	ages.Sum = max(h.Oldest(now).Seconds()*float64(len(h.Sockets))-h.younger, 0)
	return ages
}

func (h *Holding) add(s *Socket) {
	h.States[s.State]++
	if unread := s.Unread(); s.State == CloseWait && unread != UnreadUnknown {
		h.Unread[unread]++
	}
	h.UnreadBytes += s.UnreadBytes()
	h.SendBytes += uint64(s.SendQueue)
	if len(s.Holders) > 1 {
		h.Shared++
	}
	if s.Contested {
		h.Contested++
	}
	if s.Timer == TimerKeepalive {
		h.Keepalive++
	}
	if s.LocalPeer() {
		h.LocalPeer++
	}
	if s.AgeIsLowerBound {
		h.LowerBounds++
	}
	if s.QuietSince.IsZero() || s.QuietSince.After(s.Since) {
		h.moved = append(h.moved, s)
	}
}

func (h *Holding) rankServices(counts map[Service]int) {
	h.Services = make([]Service, 0, len(counts))
	for service, n := range counts {
		service.Sockets = n
		h.Services = append(h.Services, service)
	}
	slices.SortFunc(h.Services, func(a, b Service) int {
		return cmp.Or(cmp.Compare(b.Sockets, a.Sockets), cmp.Compare(b.Direction, a.Direction), cmp.Compare(a.Port, b.Port))
	})
}

func (h *Holding) rankRemotes(counts map[netip.Addr]int) {
	h.RemoteAddresses = len(counts)
	networks := map[netip.Prefix]int{}
	for addr, n := range counts {
		networks[NetworkOf(addr)] += n
		if n > h.TopRemote.Sockets || n == h.TopRemote.Sockets && addr.Less(h.TopRemote.Addr) {
			h.TopRemote = Remote{addr, n}
		}
	}
	for prefix, n := range networks {
		if n > h.TopNetwork.Sockets || n == h.TopNetwork.Sockets && prefix.Addr().Less(h.TopNetwork.Prefix.Addr()) {
			h.TopNetwork = Network{prefix, n}
		}
	}
}

// NetworkOf returns the network that counts as one client: an IPv4 /24 or an IPv6 /64. It returns
// the zero Prefix for the zero Addr.
func NetworkOf(addr netip.Addr) netip.Prefix {
	bits := 24
	if addr.Is6() {
		bits = 64
	}
	prefix, err := addr.WithZone("").Prefix(bits)
	if err != nil {
		return netip.Prefix{} // the zero Addr alone
	}
	return prefix
}
