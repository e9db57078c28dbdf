package scan

import (
	"fmt"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel/host"
)

// holderSet collects the holders of the sockets of one scan.
type holderSet struct {
	host  *host.Host
	lives map[closewait.ProcessID]bool
	last  []closewait.ProcessID // the list that was added last
}

func newHolderSet(h *host.Host) *holderSet {
	return &holderSet{host: h, lives: map[closewait.ProcessID]bool{}}
}

// isAlive reports whether a process lives. It checks that once in a scan, and adds the process.
func (s *holderSet) isAlive(id closewait.ProcessID) bool {
	lives, known := s.lives[id]
	if !known {
		lives = s.host.Lives(id)
		s.lives[id] = lives
	}
	return lives
}

// add adds the holders of a socket, which are known to live. Neighbouring sockets often share one
// list, which is added only once.
func (s *holderSet) add(holders []closewait.ProcessID) {
	if len(holders) == 0 || len(s.last) > 0 && &s.last[0] == &holders[0] {
		return
	}
	s.last = holders
	for _, id := range holders {
		s.lives[id] = true
	}
}

func (s *holderSet) clear() {
	clear(s.lives)
	s.last = nil
}

// describe appends descriptions of the holders that live to a list. It fails if this process is
// out of descriptors or memory: a holder without a description would not be listed.
func (s *holderSet) describe(list []closewait.Process, describe func(closewait.ProcessID) (closewait.Process, error)) ([]closewait.Process, error) {
	for id, lives := range s.lives {
		if !lives {
			continue
		}
		p, err := describe(id)
		s.host.Errors.Add(host.StageFacts, err)
		switch {
		case host.OutOfResources(err):
			return list, fmt.Errorf("describe the holders of sockets: %w", err)
		case err == nil:
			list = append(list, p)
		}
	}
	return list, nil
}
