package scan

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel/host"
	"closewait_exporter/kernel/procfs"
	"closewait_exporter/kernel/sockdiag"
)

// namespaceReader reads the socket tables of network namespaces: by netlink in the namespace
// itself, or from /proc/PID/net where netlink does not work.
type namespaceReader struct {
	host   *host.Host
	dumper *sockdiag.Dumper // nil: netlink is not used
	tables *procfs.SocketTables
	// find returns the network namespaces in which processes live now.
	find func(context.Context) ([]host.Namespace, error)
	// where returns the network namespace of a process or thread that /proc does not show to this
	// process. It is nil if there is no other way to find out.
	where func(via string) (closewait.NetNS, error)
}

func newDumper() *sockdiag.Dumper {
	return sockdiag.NewDumper(host.TCPCloseWait, host.TCPFinWait2, host.TCPListen)
}

// canDump reports whether a namespace can be read by netlink.
func (r *namespaceReader) canDump(ns host.Namespace) bool {
	return r.dumper != nil && (ns.Own || r.host.Capable(unix.CAP_SYS_ADMIN))
}

// readAll reads the sockets of all namespaces into a set, and returns the namespaces that it
// could not read. It fails if it could read none, and if this process is out of descriptors or
// memory.
func (r *namespaceReader) readAll(ctx context.Context, set *socketSet, list []host.Namespace) (unread []closewait.NetNS, err error) {
	unread, failures, err := r.read(ctx, set, list)
	if err != nil {
		return nil, err
	}
	if len(set.reached) == 0 || host.OutOfResources(failures) {
		return nil, fmt.Errorf("read sockets: %w", failures)
	}
	return unread, nil
}

// read adds the sockets of namespaces to a set. It returns the namespaces that it could not read,
// and why.
func (r *namespaceReader) read(ctx context.Context, set *socketSet, list []host.Namespace) (unread []closewait.NetNS, failures, err error) {
	// The process through which a namespace is reached can end while others still live there.
	const maxTries = 3
	for try := 1; len(list) > 0; try++ {
		var lost []closewait.NetNS
		dump := func(ns host.Namespace) error { return r.dump(ctx, set, ns) }
		readTable := func(ns host.Namespace) error { return r.readTable(ctx, set, ns) }
		r.visit(list, dump, readTable, func(ns host.Namespace, failure error) {
			switch {
			case failure == nil:
				set.reached = append(set.reached, ns)
			case host.Vanished(failure) && !ns.Own && try < maxTries:
				lost = append(lost, ns.ID)
			default:
				r.host.Errors.Add(host.StageSockets, failure)
				unread = append(unread, ns.ID)
				failures = errors.Join(failures, failure)
			}
		})
		if ctx.Err() != nil {
			return nil, nil, ctx.Err()
		}
		if list, err = r.findAgain(ctx, lost); err != nil {
			return nil, nil, err
		}
	}
	return unread, failures, nil
}

// findAgain finds other processes through which namespaces can be reached. Namespaces in which no
// process lives any more are left out.
func (r *namespaceReader) findAgain(ctx context.Context, lost []closewait.NetNS) ([]host.Namespace, error) {
	if len(lost) == 0 {
		return nil, nil
	}
	all, err := r.find(ctx)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(ns host.Namespace) bool { return !slices.Contains(lost, ns.ID) }), nil
}

// visit calls dump in each namespace, the own one first, or readTable where netlink cannot be used.
// It calls done with each result.
func (r *namespaceReader) visit(list []host.Namespace, dump, readTable func(host.Namespace) error, done func(host.Namespace, error)) {
	if r.dumper != nil && len(list) > 0 && list[0].Own {
		done(list[0], dump(list[0]))
		list = list[1:]
	}
	if r.dumper != nil && r.host.Capable(unix.CAP_SYS_ADMIN) {
		r.host.InNamespaces(list, func(ns host.Namespace, err error) {
			switch {
			case err == nil:
				err = dump(ns)
			case host.Denied(err): // by a user namespace or a security module, despite our capabilities
				err = readTable(ns)
			}
			done(ns, err)
		})
		return
	}
	for _, ns := range list { // /proc/PID/net can be read without entering the namespace
		done(ns, readTable(ns))
	}
}

// dump reads the namespace of the current thread by netlink: all of it or nothing. Where a process
// blocks the kernel for times and counters of bytes, dump reads the rest.
func (r *namespaceReader) dump(ctx context.Context, set *socketSet, ns host.Namespace) error {
	err := r.dumpOnce(ctx, set, ns)
	if errors.Is(err, host.ErrHangs) {
		r.host.Errors.Add(host.StageSockets, err)
		r.dumper.Brief = true
		err = r.dumpOnce(ctx, set, ns)
		r.dumper.Brief = false
	}
	if errors.Is(err, host.ErrHangs) { // before Linux 6.9
		err = r.readTable(ctx, set, ns)
	}
	return err
}

func (r *namespaceReader) dumpOnce(ctx context.Context, set *socketSet, ns host.Namespace) error {
	before := len(set.sockets)
	paths := mptcpPaths{set: set, from: before}
	malformed, err := r.dumper.Dump(ctx, func(row *sockdiag.Row) {
		switch {
		case row.State == host.TCPListen:
			queue := closewait.AcceptQueue{Length: row.RecvQueue, Backlog: row.SendQueue, Known: true}
			set.listeners.add(ns.ID, row.Local, listener{uint64(row.Inode), row.Interface, queue})
		case isOrphan(row.State, uint64(row.Inode)):
		case row.Path:
			paths.keep(sampleOf(ns.ID, row))
		case row.Fallback, row.MPTCP && r.dumper.Brief: // which does not tell paths and fallbacks
			paths.addFallback(sampleOf(ns.ID, row))
		default:
			set.add(sampleOf(ns.ID, row))
		}
	})
	r.host.Errors.AddMalformedRows(malformed)
	if err != nil {
		set.sockets = set.sockets[:before]
	}
	return err
}

// mptcpPaths are the TCP sockets that a dump has shown, among which those of MPTCP connections that
// have fallen back to TCP are found: they know the times and queues. Most, but not all of them show
// that they are paths.
type mptcpPaths struct {
	set   *socketSet
	from  int                                    // index in set of the first socket of the dump
	paths map[connection]*closewait.SocketSample // not in set
	index map[connection]int                     // in set; nil before it is needed
}

// connection identifies a socket in a dump, whichever cookie it has.
type connection struct {
	inode         uint64
	local, remote netip.AddrPort
}

func connectionOf(row *closewait.SocketSample) connection {
	return connection{row.Inode, row.Local, row.Remote}
}

func (p *mptcpPaths) keep(row closewait.SocketSample) {
	if p.paths == nil {
		p.paths = map[connection]*closewait.SocketSample{}
	}
	p.paths[connectionOf(&row)] = &row
}

// addFallback adds an MPTCP socket that has fallen back to TCP, in place of its path if that is in
// the set. What the program has not read is in the queue of the MPTCP socket, and not known.
func (p *mptcpPaths) addFallback(row closewait.SocketSample) {
	if p.index == nil {
		p.index = map[connection]int{}
		for i := p.from; i < len(p.set.sockets); i++ {
			p.index[connectionOf(&p.set.sockets[i])] = i
		}
	}
	this := connectionOf(&row)
	path := p.paths[this]
	i, added := p.index[this]
	if added {
		path = &p.set.sockets[i]
	}
	if path != nil {
		path.ID, path.MPTCP, path.State, path.UID, path.RecvQueue = row.ID, true, row.State, row.UID, 0
		row = *path
	}
	if !added {
		p.set.add(row)
	}
}

// isOrphan reports whether a socket was closed and waits in FIN_WAIT2 for its peer. Each program
// that closes its connections first leaves many.
func isOrphan(state uint8, inode uint64) bool { return state == host.TCPFinWait2 && inode == 0 }

// readTable reads a namespace from /proc/PID/net/tcp and tcp6: all of it or nothing.
func (r *namespaceReader) readTable(ctx context.Context, set *socketSet, ns host.Namespace) error {
	before := len(set.sockets)
	err := r.tables.Each(ctx, ns, r.where, procfs.HalfClosedOrListen, func(row procfs.TCPRow) {
		switch {
		case row.State == host.TCPListen:
			set.listeners.add(ns.ID, row.Local, listener{inode: row.Inode, queue: closewait.AcceptQueue{Length: row.RecvQueue}})
		case !isOrphan(row.State, row.Inode):
			set.add(sampleOfTableRow(ns.ID, row))
		}
	})
	if err != nil {
		set.sockets = set.sockets[:before]
	}
	return err
}
