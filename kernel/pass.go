package kernel

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel/bpf"
	"closewait_exporter/kernel/fdscan"
	"closewait_exporter/kernel/host"
)

// pass is one look of the BPF iterators at the host: all processes, then all their sockets with who holds them.
type pass struct {
	scanner    *Scanner
	namespaces []host.Namespace         // that a process lives in, the own one first
	residents  map[int]bpf.Process      // by pid
	in         map[closewait.NetNS]bool // of the namespaces, and of those in which sockets were found

	ids       []closewait.ProcessID            // of the processes that have records
	index     map[closewait.ProcessID]int      // in ids
	sole      [][]closewait.ProcessID          // for each of them the list with nobody else
	holder    []int32                          // of each row, an index in ids
	holds     []bool                           // which of ids hold a socket that is not listening
	byInode   []fdscan.InodeIndex              // the rows
	space     []fdscan.InodeIndex              // to sort them
	ns        closewait.NetNS                  // of the last record
	listening map[uint64][]closewait.ProcessID // who holds a listener, by its inode
	accepting map[uint64][]closewait.ProcessID // who could accept a connection, by the first of its listeners
	queues    map[closewait.NetNS]bool         // namespaces in which a connection waits in an accept queue
}

// passProcesses finds all processes and network namespaces.
func (s *Scanner) passProcesses(ctx context.Context) (*pass, error) {
	p := &pass{
		scanner: s, namespaces: []host.Namespace{s.host.OwnNetNS}, residents: map[int]bpf.Process{}, in: map[closewait.NetNS]bool{s.host.OwnNetNS.ID: true},
		listening: map[uint64][]closewait.ProcessID{}, accepting: map[uint64][]closewait.ProcessID{}, queues: map[closewait.NetNS]bool{}, index: map[closewait.ProcessID]int{},
	}
	if before := s.pass; before != nil && cap(before.byInode) <= 4*len(before.byInode)+1000 { // their space is used again
		p.byInode, p.space, p.holder = before.byInode[:0], before.space, before.holder[:0]
	}
	s.pids = s.pids[:0]
	malformed, err := s.iterator.Processes(ctx, p.addProcess)
	if err != nil {
		s.host.Errors.Add(host.StageProcesses, err)
		return nil, fmt.Errorf("list processes: %w", err)
	}
	for _, err := range malformed {
		s.host.Errors.Add(host.StageProcesses, err)
	}
	slices.Sort(s.pids)
	s.pids = slices.Compact(s.pids)
	return p, nil
}

func (p *pass) addProcess(record *bpf.Process) {
	pid, ns := int(record.Pid), closewait.NetNS(record.Netns)
	p.scanner.pids = append(p.scanner.pids, pid)
	if ns == 0 { // it is ending, or has a leader that has ended
		return
	}
	if _, known := p.residents[pid]; !known || record.Thread == record.Pid { // threads can come first
		p.residents[pid] = *record
	}
	if !p.in[ns] && p.scanner.options.Namespaces == AllNamespaces {
		p.in[ns] = true
		p.namespaces = append(p.namespaces, host.Namespace{ID: ns, Via: viaOf(record)})
	}
}

// resident is what BPF has told of a process.
func (s *Scanner) resident(id closewait.ProcessID) (r bpf.Process, known bool) {
	if s.pass == nil {
		return r, false
	}
	r, listed := s.pass.residents[id.PID]
	return r, listed && startOf(r.Start) == id.Start
}

// viaOf is the directory below /proc of what a record is about.
func viaOf(record *bpf.Process) string {
	if record.Thread == record.Pid {
		return strconv.Itoa(int(record.Pid))
	}
	return fmt.Sprintf("%d/task/%d", record.Pid, record.Thread)
}

// askWhere asks BPF in which network namespace a process or thread lives, which /proc tells only who may
// trace it.
func (s *Scanner) askWhere(via string) (ns closewait.NetNS, err error) {
	_, err = s.iterator.Processes(context.Background(), func(record *bpf.Process) {
		if viaOf(record) == via {
			ns = closewait.NetNS(record.Netns)
		}
	})
	return ns, err
}

// passSockets finds all sockets that processes hold, into s.sockets.
func (s *Scanner) passSockets(ctx context.Context, p *pass) error {
	s.forgetSockets()
	tick := jiffy()
	malformed, err := s.iterator.Sockets(ctx, func(record *bpf.Socket) { p.addSocket(record, tick) })
	if err != nil {
		s.host.Errors.Add(host.StageSockets, err)
		return fmt.Errorf("read sockets: %w", err)
	}
	for _, err := range malformed {
		s.host.Errors.Add(host.StageSockets, err)
	}
	p.join()
	return nil
}

func (p *pass) addSocket(record *bpf.Socket, tick time.Duration) {
	s, ns := p.scanner, closewait.NetNS(record.Netns)
	if ns != s.host.OwnNetNS.ID && s.options.Namespaces == OwnNamespace {
		return
	}
	if ns != p.ns {
		p.ns, p.in[ns] = ns, true
	}
	holder := p.indexOf(closewait.ProcessID{PID: int(record.Pid), Start: startOf(record.Start)})
	if record.State == host.TCPListen {
		s.listeners.add(ns, record.LocalAddress(), record.Inode)
		p.listening[record.Inode] = append(p.listening[record.Inode], p.ids[holder])
		if record.RecvQueue > 0 {
			p.queues[ns] = true
		}
		return
	}
	p.byInode = append(p.byInode, fdscan.NewInodeIndex(record.Inode, len(s.sockets)))
	p.holder, p.holds[holder] = append(p.holder, int32(holder)), true
	row := s.newRow()
	row.Owner, row.Holders = closewait.OwnedByProcess, p.sole[holder]
	fillIn(row, ns, record, tick)
}

// indexOf is where a process stands in ids. Most records have the process of the one before.
func (p *pass) indexOf(id closewait.ProcessID) int {
	last := len(p.ids) - 1
	if last >= 0 && p.ids[last] == id {
		return last
	}
	if i, known := p.index[id]; known { // a thread with descriptors of its own
		return i
	}
	p.index[id] = last + 1
	p.ids = append(p.ids, id)
	p.sole, p.holds = append(p.sole, []closewait.ProcessID{id}), append(p.holds, false)
	return last + 1
}

// fillIn translates what BPF says of a socket that is not listening.
func fillIn(row *closewait.SocketSample, ns closewait.NetNS, record *bpf.Socket, tick time.Duration) {
	row.Local, row.Remote, row.Interface, row.Inode, row.UID = record.LocalAddress(), record.RemoteAddress(), record.Interface, record.Inode, record.Uid
	row.BytesSent, row.BytesAcked, row.BytesReceived = record.BytesSent, record.BytesAcked, record.BytesReceived
	row.ID = socketID(ns, record.Cookie, &row.Facts)
	if record.State == host.TCPClose {
		row.Defunct = true
		return
	}
	since := func(jiffies uint32) time.Duration { // the difference of two times in whole ticks
		return max(time.Duration(jiffies)*tick-tick, 0)
	}
	row.RecvQueue, row.SendQueue, row.Timer = record.RecvQueue, record.SendQueue, closewait.Timer(record.Timer)
	row.HasTimes = true
	row.SinceLastAck = since(record.SinceLastAck)
	row.SinceLastData = since(min(record.SinceLastSent, record.SinceLastReceived))
}

// join makes one row of the descriptors of each socket, with all of its holders, and fills in directions.
func (p *pass) join() {
	sockets := p.scanner.sockets
	p.byInode, p.space = fdscan.SortRuns(p.byInode, p.space)
	var lists fdscan.HolderLists
	joined := 0
	for rest := p.byInode; len(rest) > 0; {
		n := p.sameSocket(rest)
		if n > 1 {
			sockets[rest[0].Index()].Holders = p.holdersOf(rest[:n], &lists)
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
		row.Direction = p.scanner.listeners.direction(row.ID.NetNS, row.Local)
	}
	p.scanner.sockets = sockets
}

// sameSocket is how many rows are of the same socket as the first. They are made to stand together: inodes
// are numbered anew after 2^32 of them, so that two sockets can have the same one.
func (p *pass) sameSocket(rows []fdscan.InodeIndex) int {
	sockets := p.scanner.sockets
	n := 1
	for i := 1; i < len(rows) && rows[i].Inode() == rows[0].Inode(); i++ {
		if sockets[rows[i].Index()].ID == sockets[rows[0].Index()].ID {
			rows[n], rows[i] = rows[i], rows[n]
			n++
		}
	}
	return n
}

// holdersOf are those of the rows of one socket, by ascending pid. Sockets with the same holders share
// one list.
func (p *pass) holdersOf(rows []fdscan.InodeIndex, lists *fdscan.HolderLists) []closewait.ProcessID {
	holders := make([]int32, len(rows))
	for i, row := range rows {
		holders[i] = p.holder[row.Index()]
	}
	slices.Sort(holders)
	holders = slices.Compact(holders)
	if len(holders) == 1 {
		return p.sole[holders[0]]
	}
	return *lists.Of(holders, p.ids)
}

// read are the namespaces of the host without those that could not be read.
func (p *pass) read(unread []closewait.NetNS) []closewait.NetNS {
	var read []closewait.NetNS
	for id := range p.in {
		if !slices.Contains(unread, id) {
			read = append(read, id)
		}
	}
	return read
}

// has tells whether a process holds the socket with this inode.
func (p *pass) has(inode uint64) bool {
	_, found := fdscan.IndexOf(p.byInode, inode)
	return found
}

// accepters are the processes that could accept a connection: all holders of all listeners on its address.
func (p *pass) accepters(row *closewait.SocketSample) []closewait.ProcessID {
	inodes := p.scanner.listeners.of(row.ID.NetNS, row.Local)
	if len(inodes) == 0 {
		return nil
	}
	if all, known := p.accepting[inodes[0]]; known {
		return all
	}
	var all []closewait.ProcessID
	for _, inode := range inodes {
		all = append(all, p.listening[inode]...)
	}
	slices.SortFunc(all, fdscan.ByPID)
	p.accepting[inodes[0]] = slices.Compact(all)
	return p.accepting[inodes[0]]
}
