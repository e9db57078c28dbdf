package condition

import (
	"fmt"
	"net/netip"
	"slices"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/document"
)

// peerShare limits the share of the inbound evidence that one network may have, since a single
// client can create any amount of it. Sockets of unknown direction can be inbound, so they count as
// inbound. If the outbound evidence is enough alone, only the inbound evidence is dropped:
// otherwise any client could switch the rule off by adding sockets.
var peerShare = Condition{
	Key: "peer_share",
	Read: func(s *document.Section, w *When) {
		w.PeerShare = document.Value(s, "peer_share", 0, document.ParseRatio)
	},
	Describe: func(w *When) string {
		if w.PeerShare == 0 {
			return ""
		}
		return document.Percent(w.PeerShare)
	},
	Warn: func(s *document.Section, c Context) {
		if c.When.PeerShare > 0 && c.When.Direction == OutboundOnly {
			s.Warn("peer_share", "has no effect: it is about inbound sockets, and direction is outbound")
		}
	},

	Name:    "peer_share",
	Label:   "peer_share",
	Holds:   checkPeerShare,
	Message: describePeerShare,
	Numbers: true,
}

func checkPeerShare(s Subject) bool {
	evidence, w, f := s.Evidence(), s.When(), s.Findings()
	if w.PeerShare == 0 {
		return true
	}
	f.Peers = newPeerShare(evidence, s.TrustedPeers())
	if f.Peers.ratio() <= w.PeerShare {
		return true
	}
	if len(evidence)-f.Peers.Inbound < w.MinSockets() {
		return false
	}
	s.KeepOutbound()
	return true
}

// newPeerShare finds the network with the most sockets that are not outbound. A trusted peer stands
// for many clients: its sockets count as inbound, and for no network.
func newPeerShare(evidence []*closewait.Socket, trusted []netip.Prefix) *PeerShare {
	share := &PeerShare{}
	networks := map[netip.Prefix]int{}
	for _, s := range evidence {
		if s.Direction == closewait.Outbound {
			continue
		}
		share.Inbound++
		addr := s.Remote.Addr().Unmap().WithZone("")
		if slices.ContainsFunc(trusted, func(p netip.Prefix) bool { return p.Contains(addr) }) {
			continue
		}
		network := closewait.NetworkOf(addr)
		networks[network]++
		if n := networks[network]; n > share.Sockets {
			share.Top, share.Sockets = network, n
		}
	}
	return share
}

func describePeerShare(w *When, f *Findings) string {
	switch {
	case w.PeerShare == 0:
		return "no limit set"
	case f.Peers == nil || f.Peers.Inbound == 0:
		return "no inbound evidence"
	}
	return fmt.Sprintf("%s has %d of %d inbound evidence sockets (%.0f%%), at most %s allowed",
		f.Peers.Top, f.Peers.Sockets, f.Peers.Inbound, 100*f.Peers.ratio(), document.Percent(w.PeerShare))
}
