package scan

import (
	"context"
	"fmt"
	"slices"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel/bpf"
	"closewait_exporter/kernel/fdscan"
	"closewait_exporter/kernel/host"
)

// bpfScan is the state of one scan by BPF that reads the descriptors of all processes.
type bpfScan struct {
	host      *host.Host
	processes *bpfProcesses
	set       *socketSet
	tick      time.Duration // unit of the times in a record

	ids   []closewait.ProcessID       // of the processes that have records
	index map[closewait.ProcessID]int // in ids
	alone [][]closewait.ProcessID     // for each of ids a list with this process only
	holds []bool                      // which of ids hold a socket that is not listening
	bpfBuffers

	ns        closewait.NetNS                  // of the last record
	listening map[uint64][]closewait.ProcessID // the holders of listeners, by inode
	accepters *accepters
	queues    map[closewait.NetNS]bool // namespaces in which a connection waits in an accept queue
}

// bpfBuffers is the memory of a bpfScan that the next one uses again.
type bpfBuffers struct {
	holder  []int32             // of each row of the set, an index in ids
	byInode []fdscan.InodeIndex // the rows
	space   []fdscan.InodeIndex // to sort them
}

// take returns the buffers without content, and none if most of their memory was not used.
func (b *bpfBuffers) take() bpfBuffers {
	last := *b
	*b = bpfBuffers{} // so that the old memory can be collected if the scan needs more
	if cap(last.byInode) > 4*len(last.byInode)+1000 {
		return bpfBuffers{}
	}
	return bpfBuffers{last.holder[:0], last.byInode[:0], last.space}
}

// readSockets finds all sockets that processes hold.
func (s *ebpfScanner) readSockets(ctx context.Context, processes *bpfProcesses) (*bpfScan, error) {
	b := &bpfScan{
		host: s.host, processes: processes, set: s.buffers.socketSet(), tick: jiffy(), bpfBuffers: s.bpfBuffers.take(),
		index: map[closewait.ProcessID]int{}, listening: map[uint64][]closewait.ProcessID{}, queues: map[closewait.NetNS]bool{},
	}
	malformed, err := s.iterator.Sockets(ctx, b.add)
	if err != nil {
		s.host.Errors.Add(host.StageSockets, err)
		return nil, fmt.Errorf("read sockets: %w", err)
	}
	for _, err := range malformed {
		s.host.Errors.Add(host.StageSockets, err)
	}
	b.join()
	b.set.known = b.has
	return b, nil
}

func (b *bpfScan) add(record *bpf.Socket) {
	ns := closewait.NetNS(record.Netns)
	if ns != b.host.OwnNetNS.ID && !b.processes.allNamespaces {
		return
	}
	if ns != b.ns {
		b.ns, b.processes.in[ns] = ns, true
	}
	holder := b.indexOf(closewait.ProcessID{PID: int(record.Pid), Start: startOf(record.Start)})
	if record.State == host.TCPListen {
		queue := closewait.AcceptQueue{Length: record.RecvQueue, Backlog: record.SendQueue, Known: true}
		b.set.listeners.add(ns, record.LocalAddress(), listener{record.Inode, record.Interface, queue})
		b.listening[record.Inode] = append(b.listening[record.Inode], b.ids[holder])
		if record.RecvQueue > 0 {
			b.queues[ns] = true
		}
		return
	}
	b.byInode = append(b.byInode, fdscan.NewInodeIndex(record.Inode, len(b.set.sockets)))
	b.holder, b.holds[holder] = append(b.holder, int32(holder)), true
	row := b.set.newRow()
	row.Owner, row.Holders = closewait.OwnedByProcess, b.alone[holder]
	fillIn(row, ns, record, b.tick)
}

// indexOf returns the index of a process in ids. Most records have the process of the record
// before.
func (b *bpfScan) indexOf(id closewait.ProcessID) int {
	last := len(b.ids) - 1
	if last >= 0 && b.ids[last] == id {
		return last
	}
	if i, known := b.index[id]; known { // a thread with descriptors of its own
		return i
	}
	b.index[id] = last + 1
	b.ids = append(b.ids, id)
	b.alone, b.holds = append(b.alone, []closewait.ProcessID{id}), append(b.holds, false)
	return last + 1
}

// fillIn converts the record of a socket that is not listening.
func fillIn(row *closewait.SocketSample, ns closewait.NetNS, record *bpf.Socket, tick time.Duration) {
	row.Local, row.Remote, row.Interface, row.Inode, row.UID = record.LocalAddress(), record.RemoteAddress(), record.Interface, record.Inode, record.Uid
	row.BytesSent, row.BytesAcked, row.BytesReceived = record.BytesSent, record.BytesAcked, record.BytesReceived
	row.MPTCP = record.Mptcp != 0
	row.ID = socketID(ns, record.Cookie, &row.Facts)
	switch record.State {
	case host.TCPClose:
		row.State = closewait.Closed
		return
	case bpf.NeverConnected:
		row.State = closewait.Unconnected
		return
	}
	row.RecvQueue, row.SendQueue, row.Timer = record.RecvQueue, record.SendQueue, closewait.Timer(record.Timer)
	row.State = stateOf(uint8(record.State))
	if !row.MPTCP {
		row.Direction = openerOf(row.State, record.SendQueue, record.BytesAcked, record.BytesSent, record.BytesRetransmitted)
	}
	if row.State == closewait.FinWait2 {
		return
	}
	if row.MPTCP {
		row.Direction = closewait.Direction(record.Opener)
	}
	since := func(jiffies uint32) time.Duration { return atLeast(time.Duration(jiffies)*tick, tick) }
	row.HasTimes = true
	row.SinceLastAck = since(record.SinceLastAck)
	row.SinceLastData = since(min(record.SinceLastSent, record.SinceLastReceived))
}

// join makes one row of the rows of each socket, with all of its holders, and fills in
// directions.
func (b *bpfScan) join() {
	sockets := b.set.sockets
	b.byInode, b.space = fdscan.SortRuns(b.byInode, b.space)
	var lists fdscan.HolderLists
	joined := 0
	for rest := b.byInode; len(rest) > 0; {
		n := b.sameSocket(rest)
		if n > 1 {
			sockets[rest[0].Index()].Holders = b.holdersOf(rest[:n], &lists)
			for _, x := range rest[1:n] {
				sockets[x.Index()].Holders = nil
			}
			joined += n - 1
		}
		rest = rest[n:]
	}
	if joined > 0 {
		sockets = slices.DeleteFunc(sockets, func(row closewait.SocketSample) bool { return row.Holders == nil })
	}
	for i := range sockets {
		row := &sockets[i]
		row.Direction = b.set.listeners.direction(&row.Facts)
	}
	b.set.sockets = sockets
}

// sameSocket moves the rows of the same socket as the first to the beginning, and returns their
// number. Two sockets can have the same inode, because inodes repeat after 2^32.
func (b *bpfScan) sameSocket(rows []fdscan.InodeIndex) int {
	sockets := b.set.sockets
	n := 1
	for i := 1; i < len(rows) && rows[i].Inode() == rows[0].Inode(); i++ {
		if sockets[rows[i].Index()].ID == sockets[rows[0].Index()].ID {
			rows[n], rows[i] = rows[i], rows[n]
			n++
		}
	}
	return n
}

// holdersOf returns the holders of the rows of one socket, ascending by pid. Sockets with the
// same holders share one list.
func (b *bpfScan) holdersOf(rows []fdscan.InodeIndex, lists *fdscan.HolderLists) []closewait.ProcessID {
	holders := make([]int32, len(rows))
	for i, row := range rows {
		holders[i] = b.holder[row.Index()]
	}
	slices.Sort(holders)
	holders = slices.Compact(holders)
	if len(holders) == 1 {
		return b.alone[holders[0]]
	}
	return *lists.Of(holders, b.ids)
}

// holdersOfListener returns the holders of a listener, ascending by pid. Each can have several
// descriptors of it.
func (b *bpfScan) holdersOfListener(inode uint64) []closewait.ProcessID {
	slices.SortFunc(b.listening[inode], fdscan.ByPID)
	b.listening[inode] = slices.Compact(b.listening[inode])
	return b.listening[inode]
}

// has reports whether a process holds the socket with this inode.
func (b *bpfScan) has(inode uint64) bool {
	_, found := fdscan.IndexOf(b.byInode, inode)
	return found
}

// holdersFrom returns all processes to which sockets are assigned: the holders that BPF has
// found, and the holders of the sockets from an index on, which dumps have added.
func (b *bpfScan) holdersFrom(added int) *holderSet {
	set := newHolderSet(b.host)
	for i, id := range b.ids {
		if b.holds[i] {
			set.lives[id] = true
		}
	}
	for i := range b.set.sockets[added:] {
		set.add(b.set.sockets[added+i].Holders)
	}
	return set
}
