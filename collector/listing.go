package collector

import "closewait_exporter/closewait"

// socketsCut counts the sockets that only holders in cut have, each once. Only the shared sockets of
// those have to be looked at.
func socketsCut(shown, cut []*closewait.Holder) int {
	if len(cut) == 0 {
		return 0
	}
	done := map[closewait.SocketID]bool{} // shared sockets that are counted
	published := make(map[closewait.ProcessID]bool, len(shown))
	for _, h := range shown {
		published[h.ID] = true
	}
	n := 0
	for _, h := range cut {
		for _, holding := range []*closewait.Holding{&h.Held, &h.Unaccepted, &h.Defunct} {
			n += holding.Len() - holding.Shared
			if holding.Shared > 0 {
				n += countShared(holding, published, done)
			}
		}
	}
	return n
}

func countShared(h *closewait.Holding, published map[closewait.ProcessID]bool, done map[closewait.SocketID]bool) (n int) {
	for _, s := range h.Sockets {
		if len(s.Holders) < 2 || done[s.ID] || anyOf(s.Holders, published) {
			continue
		}
		done[s.ID] = true
		n++
	}
	return n
}

func anyOf(ids []closewait.ProcessID, set map[closewait.ProcessID]bool) bool {
	for _, id := range ids {
		if set[id] {
			return true
		}
	}
	return false
}
