package inspect

import (
	"cmp"
	"context"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/diagnose"
	"closewait_exporter/kernel/fdscan"
	"closewait_exporter/kernel/host"
	"closewait_exporter/kernel/sockdiag"
)

// States of TCP sockets that package host does not need (include/net/tcp_states.h).
const (
	tcpEstablished = 1
	tcpSynSent     = 2
	tcpFinWait1    = 4
)

// table has all sockets of a network namespace but those in TIME_WAIT and SYN_RECV.
type table struct {
	taken   time.Time
	rows    []sockdiag.Row
	byPair  map[pair]int // index in rows of connections
	byInode map[uint64]int
	ports   map[uint16]bool // local ports of listeners
}

type pair struct{ local, remote netip.AddrPort }

func unmapped(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

func pairOf(row *sockdiag.Row) pair { return pair{unmapped(row.Local), unmapped(row.Remote)} }

func newTable() *table {
	return &table{taken: time.Now(), byPair: map[pair]int{}, byInode: map[uint64]int{}, ports: map[uint16]bool{}}
}

// readTable reads the sockets of a network namespace, without the times, for which the kernel can
// block the reader.
func readTable(ctx context.Context, h *host.Host, ns closewait.NetNS) (*table, error) {
	t := newTable()
	err := dump(ctx, h, ns, true, t.add)
	return t, err
}

// dump calls f with each socket of a network namespace.
func dump(ctx context.Context, h *host.Host, ns closewait.NetNS, brief bool, f func(*sockdiag.Row)) error {
	dumper := sockdiag.NewDumper(sockdiag.HeldStates...)
	dumper.Brief = brief
	return h.InNamespace(ctx, ns, func() error {
		_, err := dumper.Dump(ctx, f)
		return err
	})
}

// answerTable answers with the sockets of the network namespace of a process.
func answerTable(ctx context.Context, h *host.Host, process host.Directory, answer func(memoryAnswer) error) error {
	const batch = 512
	var rows []sockdiag.Row
	var failed error
	send := func() {
		if failed == nil && len(rows) > 0 {
			failed = answer(memoryAnswer{Rows: rows})
		}
		rows = rows[:0]
	}
	ns, err := host.ReadNamespace(process, ".")
	if err != nil {
		return answer(memoryAnswer{Error: process.UnlessEnded(".", err).Error()})
	}
	err = dump(ctx, h, ns, false, func(row *sockdiag.Row) {
		if rows = append(rows, *row); len(rows) == batch {
			send()
		}
	})
	send()
	if err != nil && failed == nil {
		failed = answer(memoryAnswer{Error: err.Error()})
	}
	return failed
}

func (t *table) add(row *sockdiag.Row) {
	at := len(t.rows)
	t.rows = append(t.rows, *row)
	if row.Inode != 0 {
		t.byInode[uint64(row.Inode)] = at
	}
	if row.State == host.TCPListen {
		t.ports[row.Local.Port()] = true
	} else {
		t.byPair[pairOf(row)] = at
	}
}

// inodes are the inodes of all sockets that some process can hold.
func (t *table) inodes() []uint64 {
	list := make([]uint64, 0, len(t.byInode))
	for inode := range t.byInode {
		list = append(list, inode)
	}
	return list
}

// held are the sockets of one process, by inode of their files.
type held map[uint64]fdscan.Handle

// listenersOf are the listeners among the sockets of a process.
func (t *table) listenersOf(mine held) (rows []*sockdiag.Row) {
	for inode := range mine {
		if row := &t.rows[t.byInode[inode]]; row.State == host.TCPListen {
			rows = append(rows, row)
		}
	}
	return rows
}

// serves reports whether a connection that is not accepted can be in the accept queue of a
// listener.
func serves(listener, connection *sockdiag.Row) bool {
	at := listener.Local.Addr().Unmap()
	return listener.Local.Port() == connection.Local.Port() && (at.IsUnspecified() || at == connection.Local.Addr().Unmap())
}

// sockets describes the sockets of a process, by descriptor, and returns the inodes of their other
// ends. It notes the index of each by its inode. before is an earlier reading of the same
// namespace.
func (t *table) sockets(before *table, mine held, indices map[uint64]int) (list []diagnose.Socket, peers []uint64) {
	listeners := t.listenersOf(mine)
	ages := t.queueAges(listeners)
	inodes := slices.SortedFunc(maps.Keys(mine), func(a, b uint64) int { return cmp.Compare(mine[a].Number, mine[b].Number) })
	for _, inode := range inodes {
		handle, peer := mine[inode], uint64(0)
		row := &t.rows[t.byInode[inode]]
		s := diagnose.Socket{
			FD: int(handle.Number), State: stateOf(row.State), Local: row.Local, Remote: row.Remote,
			RecvQueue: row.RecvQueue, SendQueue: row.SendQueue, Inbound: t.ports[row.Local.Port()],
			HasTimes: row.HasInfo, SinceSent: milliseconds(row.LastDataSent), SinceReceived: milliseconds(row.LastDataRecv),
			BytesReceived: row.BytesReceived,
		}
		was, known := before.byInode[inode]
		s.Moved = !known || moved(&before.rows[was], row, t.taken.Sub(before.taken))
		if s.State == diagnose.Listening {
			s.QueueAge = ages[row]
		} else {
			s.Peer, peer = t.peer(row, mine, listeners)
		}
		indices[inode] = len(list)
		list, peers = append(list, s), append(peers, peer)
	}
	return list, peers
}

func stateOf(state uint8) diagnose.SocketState {
	switch state {
	case tcpEstablished:
		return diagnose.Established
	case tcpSynSent:
		return diagnose.Connecting
	case host.TCPListen:
		return diagnose.Listening
	case tcpFinWait1, host.TCPFinWait2:
		return diagnose.ShutDown
	}
	return diagnose.Ending
}

func milliseconds(n uint32) time.Duration { return time.Duration(n) * time.Millisecond }

// moved reports whether something happened to a socket between two readings. The queue of a
// listener has moved if it is shorter; a longer one has only got more connections.
func moved(before, after *sockdiag.Row, between time.Duration) bool {
	if after.State == host.TCPListen {
		return after.RecvQueue < before.RecvQueue
	}
	return before.Cookie != after.Cookie || before.State != after.State ||
		before.RecvQueue != after.RecvQueue || before.SendQueue != after.SendQueue ||
		after.HasInfo && milliseconds(min(after.LastDataSent, after.LastDataRecv)) < between
}

// queueAges returns for how long the oldest connection has been in the queue of each listener. A
// connection sends nothing before it is accepted, so the time since it last sent is that since it
// was established.
func (t *table) queueAges(listeners []*sockdiag.Row) map[*sockdiag.Row]time.Duration {
	ages := map[*sockdiag.Row]time.Duration{}
	for i := range t.rows {
		row := &t.rows[i]
		if row.Inode != 0 || row.State == host.TCPListen || !row.HasInfo {
			continue
		}
		for _, listener := range listeners {
			if serves(listener, row) {
				ages[listener] = max(ages[listener], milliseconds(row.LastDataSent))
			}
		}
	}
	return ages
}

// peer finds the other end of a connection in the same network namespace, and its inode.
func (t *table) peer(row *sockdiag.Row, mine held, listeners []*sockdiag.Row) (diagnose.Peer, uint64) {
	ends := pairOf(row)
	at, found := t.byPair[pair{ends.remote, ends.local}]
	if !found {
		return diagnose.Peer{}, 0
	}
	other := &t.rows[at]
	p := diagnose.Peer{Place: diagnose.OtherProcess, Unread: other.RecvQueue}
	if _, own := mine[uint64(other.Inode)]; own {
		p.Place = diagnose.OwnProcess
	} else if other.Inode == 0 {
		for _, listener := range listeners {
			if serves(listener, other) {
				p.Place = diagnose.OwnQueue
			}
		}
	}
	return p, uint64(other.Inode)
}

// target is what a thread has behind a descriptor: the inode of a socket, or another kind of file.
func target(tasks host.Directory, tid, fd int) (inode uint64, kind string) {
	link, err := tasks.Readlink(strconv.Itoa(tid)+"/fd/"+strconv.Itoa(fd), make([]byte, 64))
	if err != nil {
		return 0, ""
	}
	if inode, ok := host.ParseLink(link, "socket"); ok {
		return inode, "a socket that is not TCP"
	}
	switch text := string(link); {
	case strings.HasPrefix(text, "pipe:"):
		return 0, "a pipe"
	case strings.HasPrefix(text, "anon_inode:"):
		return 0, "a descriptor of kind " + strings.TrimPrefix(text, "anon_inode:")
	case strings.HasPrefix(text, "/dev/"):
		return 0, "a device"
	}
	return 0, "a file"
}
