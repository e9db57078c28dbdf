package reaper

import (
	"net/netip"
	"slices"

	"closewait_exporter/closewait"
)

// spread tells whether the inbound evidence comes from enough networks: one client can make as much
// of it as it likes. Outbound evidence that is enough by itself is not spoilt by what clients add,
// or any of them could switch the rule off.
func (q *inquiry) spread() bool {
	q.collect()
	limit := q.rule.When.PeerShare
	if limit == 0 {
		return true
	}
	q.d.Peers = peerShare(q.evidence, q.policy.config.TrustedPeers)
	if q.d.Peers.Ratio() <= limit {
		return true
	}
	outbound := len(q.evidence) - q.d.Peers.Inbound
	if outbound < q.wanted() {
		return false
	}
	q.evidence = slices.DeleteFunc(q.evidence, func(s *closewait.Socket) bool { return s.Direction == closewait.Inbound })
	q.count()
	return true
}

// peerShare finds the network that gives most of the inbound sockets. Trusted peers stand for many
// clients: their sockets are inbound, and speak against no network.
func peerShare(sockets []*closewait.Socket, trusted []netip.Prefix) *PeerShare {
	share := &PeerShare{}
	networks := map[netip.Prefix]int{}
	for _, s := range sockets {
		if s.Direction != closewait.Inbound {
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
