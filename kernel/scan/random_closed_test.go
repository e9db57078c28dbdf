package scan_test

import (
	"fmt"
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"

	"closewait_exporter/internal/leaktest"
	"closewait_exporter/internal/leaktest/tcp"
)

// closed compares with what inspecting the sockets has shown, without the sockets that are no
// connections. Of MPTCP sockets some may be missing: what the kernel keeps of a closed one does
// not always show that it was connected.
func (s *comparison) closed(seen map[string]sample, held map[uint64]*heldSocket) {
	s.t.Helper()
	want, got := map[uint64]string{}, map[uint64]string{}
	for inode, h := range held {
		if s.isClosed(inode, h) {
			want[inode] = s.named(inode, h.holders)
		}
	}
	for _, row := range seen {
		got[row.Inode] = s.named(row.Inode, pidsOf(row.Holders))
		if truth := s.byInode[row.Inode]; row.Local != truth.Local.String() || row.Remote != truth.Remote.String() {
			s.t.Errorf("closed: %+v, which was %+v", row, truth)
		}
	}
	for inode := range want {
		if _, shown := got[inode]; !shown && held[inode].multipath {
			delete(want, inode)
			s.seen["closed and missed"]++
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		s.t.Errorf("closed sockets with their holders (-descriptors +ebpf):\n%s", diff)
	}
}

// unconnected compares with the sockets that hold no connection, or not any more.
func (s *comparison) unconnected(seen map[string]sample, held map[uint64]*heldSocket) {
	s.t.Helper()
	want, got := map[uint64][]int{}, map[uint64][]int{}
	for inode, h := range held {
		if h.state == tcp.Closed && s.noise[inode] {
			want[inode] = h.holders
		}
	}
	for _, row := range seen {
		if h := held[row.Inode]; h != nil && h.multipath && s.isClosed(row.Inode, h) { // see closed
			continue
		}
		got[row.Inode] = pidsOf(row.Holders)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		s.t.Errorf("unconnected sockets with their holders (-descriptors +ebpf):\n%s", diff)
	}
}

func (s *comparison) isClosed(inode uint64, h *heldSocket) bool {
	return h.state == tcp.Closed && !s.noise[inode]
}

// named describes a socket for the message of a failed test.
func (s *comparison) named(inode uint64, holders []int) string {
	truth := s.byInode[inode]
	return fmt.Sprintf("%v to %v, of %v", truth.Local, truth.Remote, holders)
}

// follows checks that a scanner that reads tables knows the closed sockets that it saw in
// CLOSE_WAIT, if their descriptors are still the same. It may know more closed sockets, but must
// report no open ones.
func (s *comparison) follows(scanner *trackedScanner, seen scanned, held map[uint64]*heldSocket) {
	s.t.Helper()
	leaktest.Eventually(s.t, timeout, func() (bool, string) {
		missing := s.missing(scanner, seen, held)
		if len(missing) > 0 { // it does not check at each scan the sockets that were in another state
			seen = s.scanTwice(scanner)
		}
		return len(missing) == 0, scanner.kind.name + " has lost\n" + strings.Join(missing, "\n")
	})
	memory := map[uint64]string{}
	for _, list := range []map[string]sample{seen.alive, seen.closed} {
		for _, row := range list {
			if h := held[row.Inode]; h != nil {
				memory[row.Inode] = fmt.Sprint(h.handles)
			}
		}
	}
	s.descriptors[scanner.kind.name] = memory
}

// missing returns the sockets that the scanner could know to be closed and does not report. It
// fails the test for sockets that it reports and that are not closed.
func (s *comparison) missing(scanner *trackedScanner, seen scanned, held map[uint64]*heldSocket) (missing []string) {
	s.t.Helper()
	shown := map[uint64]bool{}
	for _, row := range seen.closed {
		shown[row.Inode] = true
		h := held[row.Inode]
		if h == nil || h.state != tcp.Closed {
			s.t.Errorf("%s: closed: %+v, and it is %+v", scanner.kind.name, row, h)
			continue
		}
		for _, pid := range pidsOf(row.Holders) {
			if !slices.Contains(h.holders, pid) {
				s.t.Errorf("%s: closed: %+v, which %d does not hold: %+v", scanner.kind.name, row, pid, h)
			}
		}
	}
	for inode, h := range held {
		if s.isClosed(inode, h) && !h.multipath && !shown[inode] && s.descriptors[scanner.kind.name][inode] == fmt.Sprint(h.handles) {
			missing = append(missing, s.named(inode, h.holders))
		}
	}
	return missing
}
