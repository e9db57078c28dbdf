package kernel

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"closewait_exporter/closewait"
)

// waysIn is in how many ways a namespace is tried to be reached: the process through which it was
// to be can end meanwhile, while others live on in there.
const waysIn = 3

// readSockets reads the sockets of all namespaces into s.sockets, and tells which could be read
// and which could not. It fails when none could, and when we were short of something ourselves.
func (s *Scanner) readSockets(ctx context.Context, list []namespace) (read, unread []closewait.NetNS, err error) {
	s.forgetSockets()
	read, unread, failures, err := s.readNamespaces(ctx, list)
	if err != nil {
		return nil, nil, err
	}
	if len(read) == 0 || short(failures) {
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
func (s *Scanner) readNamespaces(ctx context.Context, list []namespace) (read, unread []closewait.NetNS, failures, err error) {
	for try := 1; len(list) > 0; try++ {
		var lost []closewait.NetNS
		dump := func(ns namespace) error { return s.dumpSockets(ctx, ns) }
		look := func(ns namespace) error { return s.readTables(ctx, ns) }
		s.visitNamespaces(list, dump, look, func(ns namespace, failure error) {
			switch {
			case failure == nil:
				read = append(read, ns.id)
				s.reached = append(s.reached, ns)
			case vanished(failure) && !ns.own && try < waysIn:
				lost = append(lost, ns.id)
			default:
				s.faults.add(stageSockets, failure)
				unread = append(unread, ns.id)
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
func (s *Scanner) visitNamespaces(list []namespace, dump, read func(namespace) error, done func(namespace, error)) {
	if s.dumper != nil && len(list) > 0 && list[0].own {
		done(list[0], dump(list[0]))
		list = list[1:]
	}
	if s.dumper != nil && s.capable(unix.CAP_SYS_ADMIN) {
		inNamespaces(s.proc, list, func(ns namespace, err error) {
			switch {
			case err == nil:
				err = dump(ns)
			case denied(err): // by a user namespace or a security module, whatever our capabilities
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
func (s *Scanner) dumpSockets(ctx context.Context, ns namespace) error {
	before := len(s.sockets)
	malformed, err := s.dumper.dump(ctx, func(row *diagRow) {
		if row.state == stateListen {
			s.listeners.add(ns.id, row.local, uint64(row.inode))
			return
		}
		s.addSocket(sampleOf(ns.id, row))
	})
	s.countMalformed(malformed)
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
func sampleOf(ns closewait.NetNS, row *diagRow) closewait.SocketSample {
	s := closewait.SocketSample{
		Facts: closewait.Facts{
			Local: row.local, Remote: row.remote, Interface: row.iface, Inode: uint64(row.inode), UID: row.uid,
			RecvQueue: row.recvQueue, SendQueue: row.sendQueue, Timer: closewait.Timer(row.timer),
			BytesSent: row.bytesSent, BytesAcked: row.bytesAcked, BytesReceived: row.bytesReceived,
		},
		HasTimes:      row.hasInfo,
		SinceLastAck:  atLeast(row.lastAckRecv),
		SinceLastData: atLeast(min(row.lastDataSent, row.lastDataRecv)),
	}
	s.ID = socketID(ns, row.cookie, &s.Facts)
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
func (s *Scanner) readTables(ctx context.Context, ns namespace) error {
	before := len(s.sockets)
	err := s.eachTableRow(ctx, ns, closeWaitOrListen, func(row procTCPRow) {
		if row.state == stateListen {
			s.listeners.add(ns.id, row.local, row.inode)
			return
		}
		s.addSocket(sampleOfTableRow(ns.id, row))
	})
	if err != nil {
		s.sockets = s.sockets[:before]
	}
	return err
}

// eachTableRow hands the rows of /proc/PID/net/tcp and tcp6 in the wanted states to f. The files are
// opened anew each time: some kernels break seeking on them.
func (s *Scanner) eachTableRow(ctx context.Context, ns namespace, wanted tableStates, f func(procTCPRow)) error {
	for _, name := range []string{"tcp", "tcp6"} {
		if err := s.readTable(ctx, ns, name, wanted, f); err != nil {
			return err
		}
	}
	return nil
}

func (s *Scanner) readTable(ctx context.Context, ns namespace, name string, wanted tableStates, f func(procTCPRow)) error {
	path := s.options.ProcFS + "/" + ns.via + "/net/" + name
	if ns.own {
		path = "/proc/self/net/" + name
	}
	file, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) && name == "tcp6" {
		return nil // a kernel without IPv6
	}
	if err != nil {
		return fmt.Errorf("read socket table: %w", err)
	}
	defer file.Close()
	if err := s.stillLivesIn(ns); err != nil { // an open table is that of one namespace, whatever the process does
		return err
	}
	malformed, err := parseProcTCP(file, s.entries, wanted, f)
	s.countMalformed(malformed)
	if err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	return ctx.Err()
}

// sampleOfTableRow translates a line of /proc/PID/net/tcp, which knows no cookie and no times.
func sampleOfTableRow(ns closewait.NetNS, row procTCPRow) closewait.SocketSample {
	return closewait.SocketSample{Facts: closewait.Facts{
		ID:    closewait.TupleID(ns, row.local, row.remote, row.inode),
		Local: row.local, Remote: row.remote, Inode: row.inode, UID: row.uid,
		RecvQueue: row.recvQueue, SendQueue: row.sendQueue, Timer: closewait.Timer(row.timer),
	}}
}

func (s *Scanner) countMalformed(rows int) {
	for range rows {
		s.faults.add(stageSockets, fmt.Errorf("socket row: %w", errMalformed))
	}
}
