package fdscan

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel/host"
)

// Walk holds the descriptors of wanted sockets that were found in the tables of many processes.
type Walk struct {
	Unread         []int // pids of processes that could not be read, usually for lack of permission
	OutOfResources int   // number of Unread processes with an error for which host.OutOfResources is true

	host   *host.Host
	pids   []int
	wanted inodeFilter
	ids    []closewait.ProcessID // by index in pids; only set for processes that hold wanted sockets

	mu          sync.Mutex
	descriptors []Descriptor // of wanted sockets; the descriptors of a process are adjacent
	found       []InodeIndex // inodes of their sockets, with indices in descriptors

	lists   HolderLists
	holders []int32 // space for the holders of one socket
}

// Descriptor is a descriptor of a wanted socket.
type Descriptor struct {
	holder int32 // index in Walk.pids
	Handle
}

// WalkProcesses finds all descriptors of the wanted sockets. It reads every descriptor of every
// process, because a socket can have several holders. pids must be ascending. workers is the
// maximum number of processes that are read concurrently. The error is the error of ctx; errors of
// processes are counted as scan errors and listed in Unread.
func WalkProcesses(ctx context.Context, h *host.Host, pids []int, workers int, wanted ...[]InodeIndex) (*Walk, error) {
	sockets := 0
	for _, list := range wanted {
		sockets += len(list)
	}
	w := &Walk{
		host: h, pids: pids, wanted: newInodeFilter(wanted...), ids: make([]closewait.ProcessID, len(pids)),
		// Usually each socket has one descriptor.
		found: make([]InodeIndex, 0, sockets), descriptors: make([]Descriptor, 0, sockets),
	}
	var next atomic.Int64
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			v := &worker{tableReader: newTableReader(h, w.wanted), walk: w, data: make([]byte, 0, 1024)}
			for i := next.Add(1) - 1; i < int64(len(pids)) && ctx.Err() == nil; i = next.Add(1) - 1 {
				v.readProcess(ctx, int(i))
			}
		})
	}
	group.Wait()
	return w, ctx.Err()
}

// Len returns the number of descriptors that were found.
func (w *Walk) Len() int { return len(w.descriptors) }

// add records the sockets found in a process, and its error. There can be both.
func (w *Walk) add(index int, inodes []uint64, handles []Handle, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, inode := range inodes {
		w.found = append(w.found, NewInodeIndex(inode, len(w.descriptors)))
		w.descriptors = append(w.descriptors, Descriptor{int32(index), handles[i]})
	}
	if err == nil || host.Vanished(err) {
		return
	}
	w.host.Errors.Add(host.StageOwners, err)
	w.Unread = append(w.Unread, w.pids[index])
	if host.OutOfResources(err) {
		w.OutOfResources++
	}
}

// worker reads processes for a walk, one at a time.
type worker struct {
	*tableReader
	walk *Walk
	data []byte
}

func (v *worker) readProcess(ctx context.Context, index int) {
	v.reset()
	pid := v.walk.pids[index]
	dir, err := v.host.Proc.OpenPID(pid)
	if err != nil {
		v.walk.add(index, nil, nil, err)
		return
	}
	defer dir.Close()
	err = dir.UnlessEnded(".", v.readTables(ctx, dir, pid))
	if ctx.Err() != nil {
		return // the result of the walk is not used
	}
	if len(v.inodes) > 0 {
		id, unknown := v.identify(dir, pid)
		if unknown != nil {
			v.walk.add(index, nil, nil, unknown)
			return
		}
		v.walk.ids[index] = id
	}
	v.walk.add(index, v.inodes, v.handles, err)
}

// identify reads the start time through the open directory, so that it belongs to the process whose
// descriptors were read.
func (v *worker) identify(dir host.Directory, pid int) (closewait.ProcessID, error) {
	st, data, err := dir.ReadStat(v.data)
	v.data = data
	if err != nil {
		return closewait.ProcessID{}, fmt.Errorf("stat of process %d: %w", pid, err)
	}
	return closewait.ProcessID{PID: pid, Start: st.Start}, nil
}
