package kernel

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel/host"
	"closewait_exporter/kernel/procfs"
	"closewait_exporter/kernel/sockdiag"
)

// waysIn is in how many ways a namespace is tried to be reached: the process through which it was
// to be can end meanwhile, while others live on in there.
const waysIn = 3

// readSockets reads the sockets of all namespaces into s.sockets, and tells which could be read
// and which could not. It fails when none could, and when we were short of something ourselves.
func (s *Scanner) readSockets(ctx context.Context, list []host.Namespace) (read, unread []closewait.NetNS, err error) {
	s.forgetSockets()
	read, unread, failures, err := s.readNamespaces(ctx, list)
	if err != nil {
		return nil, nil, err
	}
	if len(read) == 0 || host.OutOfResources(failures) {
		return nil, nil, fmt.Errorf("read sockets: %w", failures)
	}
	return read, unread, nil
}

// forgetSockets makes room for those of a new scan.
func (s *Scanner) forgetSockets() {
	if cap(s.sockets) > 4*len(s.sockets)+1000 { // most of them have gone: give their space back
		s.sockets = nil
	}
	s.sockets, s.reached = s.sockets[:0], s.reached[:0]
	s.listeners.reset()
}

// readNamespaces adds the sockets of namespaces to s.sockets, and tells which could be read and which
// could not, for what reasons.
func (s *Scanner) readNamespaces(ctx context.Context, list []host.Namespace) (read, unread []closewait.NetNS, failures, err error) {
	for try := 1; len(list) > 0; try++ {
		var lost []closewait.NetNS
		dump := func(ns host.Namespace) error { return s.dumpSockets(ctx, ns) }
		look := func(ns host.Namespace) error { return s.readTables(ctx, ns) }
		s.visitNamespaces(list, dump, look, func(ns host.Namespace, failure error) {
			switch {
			case failure == nil:
				read = append(read, ns.ID)
				s.reached = append(s.reached, ns)
			case host.Vanished(failure) && !ns.Own && try < waysIn:
				lost = append(lost, ns.ID)
			default:
				s.host.Errors.Add(host.StageSockets, failure)
				unread = append(unread, ns.ID)
				failures = errors.Join(failures, failure)
			}
		})
		if ctx.Err() != nil {
			return nil, nil, nil, ctx.Err()
		}
		if list, err = s.namespacesAmong(ctx, lost); err != nil {
			return nil, nil, nil, err
		}
	}
	return read, unread, failures, nil
}

// visitNamespaces goes through namespaces, the own one first, and calls done with the outcome of each:
// that of dump, in the namespace itself, or of read where netlink is not to be had.
func (s *Scanner) visitNamespaces(list []host.Namespace, dump, read func(host.Namespace) error, done func(host.Namespace, error)) {
	if s.dumper != nil && len(list) > 0 && list[0].Own {
		done(list[0], dump(list[0]))
		list = list[1:]
	}
	if s.dumper != nil && s.host.Capable(unix.CAP_SYS_ADMIN) {
		s.host.InNamespaces(list, func(ns host.Namespace, err error) {
			switch {
			case err == nil:
				err = dump(ns)
			case host.Denied(err): // by a user namespace or a security module, whatever our capabilities
				err = read(ns)
			}
			done(ns, err)
		})
		return
	}
	for _, ns := range list { // /proc/PID/net needs no entering
		done(ns, read(ns))
	}
}

// dumpSockets reads the namespace of the current thread by netlink: all of it or nothing.
func (s *Scanner) dumpSockets(ctx context.Context, ns host.Namespace) error {
	before := len(s.sockets)
	malformed, err := s.dumper.Dump(ctx, func(row *sockdiag.Row) {
		if row.State == host.TCPListen {
			s.listeners.add(ns.ID, row.Local, uint64(row.Inode))
			return
		}
		s.addSocket(sampleOf(ns.ID, row))
	})
	s.host.Errors.AddMalformedRows(malformed)
	if err != nil {
		s.sockets = s.sockets[:before]
	}
	return err
}

// addSocket adds a socket unless it is known as that of a process already.
func (s *Scanner) addSocket(row closewait.SocketSample) {
	if s.pass == nil || !row.Accepted() || !s.pass.has(row.Inode) {
		*s.newRow() = row
	}
}

// newRow adds an empty row. It doubles the space where it must: the builtin append grows by a quarter, and so copies
// large tables several times.
func (s *Scanner) newRow() *closewait.SocketSample {
	n := len(s.sockets)
	if n == cap(s.sockets) {
		s.sockets = slices.Grow(s.sockets, max(64, n))
	}
	s.sockets = s.sockets[:n+1]
	s.sockets[n] = closewait.SocketSample{}
	return &s.sockets[n]
}

// sampleOf translates a row of a netlink dump.
func sampleOf(ns closewait.NetNS, row *sockdiag.Row) closewait.SocketSample {
	s := closewait.SocketSample{
		Facts: closewait.Facts{
			Local: row.Local, Remote: row.Remote, Interface: row.Interface, Inode: uint64(row.Inode), UID: row.UID,
			RecvQueue: row.RecvQueue, SendQueue: row.SendQueue, Timer: closewait.Timer(row.Timer),
			BytesSent: row.BytesSent, BytesAcked: row.BytesAcked, BytesReceived: row.BytesReceived,
		},
		HasTimes:      row.HasInfo,
		SinceLastAck:  atLeast(row.LastAckRecv),
		SinceLastData: atLeast(min(row.LastDataSent, row.LastDataRecv)),
	}
	s.ID = socketID(ns, row.Cookie, &s.Facts)
	return s
}

// longestTick is that of a kernel with CONFIG_HZ=100.
const longestTick = 10 * time.Millisecond

// atLeast is how much time has passed for certain when tcp_info says so many milliseconds. It takes
// the difference of two times in whole ticks, so the truth can be almost a tick less.
func atLeast(milliseconds uint32) time.Duration {
	return max(time.Duration(milliseconds)*time.Millisecond-longestTick, 0)
}

// readTables reads a namespace from /proc/PID/net/tcp and tcp6: all of it or nothing.
func (s *Scanner) readTables(ctx context.Context, ns host.Namespace) error {
	before := len(s.sockets)
	err := s.tables.Each(ctx, ns, s.whereFromBPF(), procfs.CloseWaitOrListen, func(row procfs.TCPRow) {
		if row.State == host.TCPListen {
			s.listeners.add(ns.ID, row.Local, row.Inode)
			return
		}
		s.addSocket(sampleOfTableRow(ns.ID, row))
	})
	if err != nil {
		s.sockets = s.sockets[:before]
	}
	return err
}

// sampleOfTableRow translates a line of /proc/PID/net/tcp, which knows no cookie and no times.
func sampleOfTableRow(ns closewait.NetNS, row procfs.TCPRow) closewait.SocketSample {
	return closewait.SocketSample{Facts: closewait.Facts{
		ID:    closewait.TupleID(ns, row.Local, row.Remote, row.Inode),
		Local: row.Local, Remote: row.Remote, Inode: row.Inode, UID: row.UID,
		RecvQueue: row.RecvQueue, SendQueue: row.SendQueue, Timer: closewait.Timer(row.Timer),
	}}
}
