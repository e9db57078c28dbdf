package collector

import "closewait_exporter/closewait"

// socketsCut counts the sockets that only holders in cut hold, each once. Only their shared
// sockets need to be compared.
func socketsCut(shown, cut []*closewait.Holder) int {
	if len(cut) == 0 {
		return 0
	}
	done := map[closewait.SocketID]bool{} // shared sockets that were counted
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

// countShared counts the shared sockets that no published holder holds.
func countShared(h *closewait.Holding, published map[closewait.ProcessID]bool, done map[closewait.SocketID]bool) (n int) {
	for _, s := range h.Sockets {
		if len(s.Holders) < 2 || done[s.ID] || containsAny(s.Holders, published) {
			continue
		}
		done[s.ID] = true
		n++
	}
	return n
}

func containsAny(ids []closewait.ProcessID, set map[closewait.ProcessID]bool) bool {
	for _, id := range ids {
		if set[id] {
			return true
		}
	}
	return false
}
