package kernel

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"closewait_exporter/closewait"
)

// handle is where a process had a descriptor of a socket when its tables were read.
type Handle struct {
	Thread int32 // whose table it is in; 0 for that of the main thread, which as a rule all share
	Number int32 // closed when nothing is there any more
}

// closed stands for the number of a descriptor that shows another file by now, or none.
const closed = -1

// appendPath appends its path below the directory of the process, with a NUL at the end.
func (h Handle) AppendPath(path []byte) []byte {
	if h.Thread != 0 {
		path = strconv.AppendInt(append(path, "task/"...), int64(h.Thread), 10)
		path = append(path, '/')
	}
	path = strconv.AppendInt(append(path, "fd/"...), int64(h.Number), 10)
	return append(path, 0)
}

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
		return cmp.Or(byPID(a.id(), b.id()), cmp.Compare(a.id().Start, b.id().Start))
	})
	sure = true
	for rest := claims; len(rest) > 0; {
		n := 1
		for n < len(rest) && rest[n].id() == rest[0].id() {
			n++
		}
		err := s.checkClaims(rest[:n])
		s.faults.Add(StageOwners, err)
		sure = sure && !OutOfResources(err)
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
	dir, err := s.openHolder(claims[0].id())
	if err != nil {
		for _, c := range claims {
			c.settle(OutOfResources(err))
		}
		return err
	}
	defer dir.Close()
	var refused error
	var path, target [64]byte
	for _, c := range claims {
		link, err := dir.Link(c.of.handles[c.holder].AppendPath(path[:0]), target[:])
		inode, isSocket := ParseLink(link, "socket")
		c.settle(isSocket && inode == c.of.Inode || OutOfResources(err))
		if err != nil && !Vanished(err) {
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

// openHolder opens the directory of this very process, and of no other with its pid: the start time
// is read through the open directory.
func (s *Scanner) openHolder(id closewait.ProcessID) (Directory, error) {
	dir, err := s.proc.OpenPID(id.PID)
	if err != nil {
		return -1, err
	}
	st, err := s.readStat(dir)
	if err == nil && st.Start != id.Start {
		err = fmt.Errorf("process %d is another one now: %w", id.PID, unix.ESRCH)
	}
	if err != nil {
		dir.Close()
		return -1, err
	}
	return dir, nil
}
