package kernel

import (
	"cmp"
	"fmt"
	"slices"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel/fdscan"
	"closewait_exporter/kernel/host"
)

// closed stands for the number of a descriptor that shows another file by now, or none.
const closed = -1

// claim is that of a process to have a descriptor of a socket.
type claim struct {
	of     *remnant
	holder int // index in of.holders
}

func (c claim) id() closewait.ProcessID { return c.of.holders[c.holder] }

// checkHolders reads the links that the holders of some sockets had, and takes out the holders whose links
// show something else by now. It returns the sockets that have a holder left, in the space of those
// given; sure says that all were looked at, and none kept for want of descriptors or memory of our own.
// The rest of a table is not read, so that a holder which has only moved the socket to another number,
// by dup(2), is taken out too, and so is one whose main thread has ended since the walk.
func (s *Scanner) checkHolders(sockets []remnant) (still []remnant, sure bool) {
	var claims []claim
	for i := range sockets {
		for holder := range sockets[i].holders {
			claims = append(claims, claim{&sockets[i], holder})
		}
	}
	// Those of a process together, for to open it costs more than to read a link.
	slices.SortStableFunc(claims, func(a, b claim) int {
		return cmp.Or(fdscan.ByPID(a.id(), b.id()), cmp.Compare(a.id().Start, b.id().Start))
	})
	sure = true
	for rest := claims; len(rest) > 0; {
		n := 1
		for n < len(rest) && rest[n].id() == rest[0].id() {
			n++
		}
		err := s.checkClaims(rest[:n])
		s.host.Errors.Add(host.StageOwners, err)
		sure = sure && !host.OutOfResources(err)
		rest = rest[n:]
	}
	for i := range sockets {
		r := &sockets[i]
		r.keep(func(holder int) bool { return r.handles[holder].Number != closed })
	}
	return slices.DeleteFunc(sockets, remnant.isOver), sure
}

// checkClaims closes the handles of one process that show their sockets no more, or may not be read.
// Where descriptors or memory of our own are short it leaves them as they are: that says nothing of them.
func (s *Scanner) checkClaims(claims []claim) error {
	dir, err := s.host.OpenProcess(claims[0].id())
	if err != nil {
		for _, c := range claims {
			c.settle(host.OutOfResources(err))
		}
		return err
	}
	defer dir.Close()
	var refused error
	var path, target [64]byte
	for _, c := range claims {
		link, err := dir.Link(c.of.handles[c.holder].AppendPath(path[:0]), target[:])
		inode, isSocket := host.ParseLink(link, "socket")
		c.settle(isSocket && inode == c.of.Inode || host.OutOfResources(err))
		if err != nil && !host.Vanished(err) {
			refused = fmt.Errorf("read a link of process %d: %w", c.id().PID, err)
		}
	}
	return dir.UnlessEnded(".", refused)
}

// settle closes the handle of a claim that is not good.
func (c claim) settle(good bool) {
	if !good {
		c.of.handles[c.holder].Number = closed
	}
}
