package collector

import "closewait_exporter/closewait"

// omittedSockets counts the sockets that only omitted holders hold, each once. Only their shared
// sockets need to be compared.
func omittedSockets(shown, omitted []*closewait.Holder) int {
	if len(omitted) == 0 {
		return 0
	}
	counted := map[closewait.SocketID]bool{} // shared sockets
	exported := make(map[closewait.ProcessID]bool, len(shown))
	for _, h := range shown {
		exported[h.ID] = true
	}
	n := 0
	for _, h := range omitted {
		for _, holding := range []*closewait.Holding{&h.Ended, &h.Unaccepted, &h.Other} {
			n += holding.Len() - holding.Shared
			if holding.Shared > 0 {
				n += countShared(holding, exported, counted)
			}
		}
	}
	return n
}

// countShared counts the shared sockets that no exported holder holds.
func countShared(h *closewait.Holding, exported map[closewait.ProcessID]bool, counted map[closewait.SocketID]bool) (n int) {
	for _, s := range h.Sockets {
		if len(s.Holders) < 2 || counted[s.ID] || containsAny(s.Holders, exported) {
			continue
		}
		counted[s.ID] = true
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
