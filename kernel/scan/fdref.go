package scan

import (
	"cmp"
	"fmt"
	"slices"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel/fdscan"
	"closewait_exporter/kernel/host"
)

// fdRef pairs a socket with a process that is believed to hold it.
type fdRef struct {
	socket *deadSocketCandidate
	holder int // index in socket.holders
}

func (r fdRef) process() closewait.ProcessID { return r.socket.holders[r.holder] }

// checkHolders reads the descriptors that sockets had, and removes the holders whose descriptors
// are something else by now. It returns the sockets that still have a holder, in the memory of
// the list. complete is false if this process was out of descriptors or memory, so that some
// sockets could not be checked. The rest of a descriptor table is not read: a holder that has
// moved the socket to another number by dup(2) is removed too, and so is a holder whose main
// thread has ended since the walk.
func checkHolders(h *host.Host, sockets []deadSocketCandidate) (still []deadSocketCandidate, complete bool) {
	var refs []fdRef
	for i := range sockets {
		for holder := range sockets[i].holders {
			refs = append(refs, fdRef{&sockets[i], holder})
		}
	}
	// The descriptors of a process together: to open a process costs more than to read a link.
	slices.SortStableFunc(refs, func(a, b fdRef) int {
		return cmp.Or(fdscan.ByPID(a.process(), b.process()), cmp.Compare(a.process().Start, b.process().Start))
	})
	complete = true
	for rest := refs; len(rest) > 0; {
		n := 1
		for n < len(rest) && rest[n].process() == rest[0].process() {
			n++
		}
		err := checkProcess(h, rest[:n])
		h.Errors.Add(host.StageOwners, err)
		complete = complete && !host.OutOfResources(err)
		rest = rest[n:]
	}
	for i := range sockets {
		c := &sockets[i]
		c.keep(func(holder int) bool { return c.handles[holder].Number != fdscan.NoDescriptor })
	}
	return slices.DeleteFunc(sockets, deadSocketCandidate.hasNoHolder), complete
}

// checkProcess drops the descriptors of one process that are no longer their sockets, or cannot be
// read. If this process is out of descriptors or memory it leaves them as they are,
// because that says nothing about them.
func checkProcess(h *host.Host, refs []fdRef) error {
	dir, err := h.OpenProcess(refs[0].process())
	if err != nil {
		for _, r := range refs {
			r.dropUnless(host.OutOfResources(err))
		}
		return err
	}
	defer dir.Close()
	var refused error
	var path, target [64]byte
	for _, r := range refs {
		link, err := dir.Link(r.socket.handles[r.holder].AppendPath(path[:0]), target[:])
		inode, isSocket := host.ParseLink(link, "socket")
		r.dropUnless(isSocket && inode == r.socket.Inode || host.OutOfResources(err))
		if err != nil && !host.Vanished(err) {
			refused = fmt.Errorf("read a link of process %d: %w", r.process().PID, err)
		}
	}
	return dir.UnlessEnded(".", refused)
}

func (r fdRef) dropUnless(valid bool) {
	if !valid {
		r.socket.handles[r.holder].Number = fdscan.NoDescriptor
	}
}
