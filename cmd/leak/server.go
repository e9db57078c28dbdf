package main

import (
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"closewait_exporter/internal/leaktest/tcp"
	"closewait_exporter/internal/leaktest/truth"
)

// batch is the number of clients at a time: they need descriptors and room in the accept queue.
const batch = 1000

// server is the program that forgets to close. All its methods run on one goroutine.
type server struct {
	options
	pid      int
	children children

	listeners listeners // of the sockets that are accepted
	idle      listeners // of those that are not
	backends  listeners // to which outbound connections go
	clients   clients

	leaks   int                  // number of sockets asked for; the values of --unread take turns
	queued  map[addrPair]*socket // waiting to be accepted
	sockets []*socket            // oldest first
	streams []stream
	healthy int

	exhausted int // number of times that descriptors had run out
}

func newServer(o options, pid int) (*server, error) {
	s := &server{options: o, pid: pid, clients: clients{addresses: o.peers, protocol: o.protocol()}, queued: map[addrPair]*socket{}}
	s.children = children{comm: o.nameOrDefault(), exitWithStdin: o.exitWithStdin}
	var err error
	if s.listeners, err = openListeners(o.listen, o.connect, o.reusePort, o.protocol()); err != nil {
		return nil, err
	}
	if o.unaccepted > 0 {
		s.idle, err = openListeners(o.idleListen, o.connect, o.reusePort, o.protocol())
	}
	return s, err
}

// leak leaks n more sockets, or as many as it can.
func (s *server) leak(n int) error {
	for ; n > 0; n -= batch {
		queued, err := s.enqueue(&s.listeners, min(n, batch))
		if err = errors.Join(err, s.acceptQueued(&s.listeners, queued)); err != nil {
			return err
		}
	}
	return nil
}

// grow leaks n more sockets while there are descriptors.
func (s *server) grow(n int) error {
	err := s.leak(n)
	if errors.Is(err, unix.EMFILE) {
		s.exhausted++
	}
	return err
}

// leaveUnaccepted leaves n more sockets in an accept queue.
func (s *server) leaveUnaccepted(n int) error {
	_, err := s.enqueue(&s.idle, n)
	return err
}

// enqueue connects n clients, which send what is to be left unread and close. It returns the number
// of connections that are in the accept queue then.
func (s *server) enqueue(to *listeners, n int) (queued int, err error) {
	var clients []int
	for len(clients) < n && err == nil {
		l, left := to.next(), s.nextUnread()
		fd, local, failed := s.clients.connect(l.via)
		if failed != nil {
			err = failed
			break
		}
		clients = append(clients, fd)
		s.expect(l.pair(local), left)
		err = tcp.Write(fd, left.payload())
	}
	return len(clients), errors.Join(err, tcp.CloseAll(clients))
}

// expect records a connection that waits to be accepted.
func (s *server) expect(p addrPair, left unread) {
	waiting := &socket{fd: -1, unread: left}
	waiting.Socket = truth.Socket{
		Kind: truth.Unaccepted, Local: p.local, Remote: p.remote,
		RecvQ: max(left, onlyFIN).recvQ(), // nothing can be read before accept
	}
	s.queued[p] = waiting
	s.sockets = append(s.sockets, waiting)
}

// accept accepts n of the waiting sockets. From then on they are leaked like the others.
func (s *server) accept(n int) error {
	if n > len(s.queued) {
		return fmt.Errorf("accept %d: %d connections wait to be accepted", n, len(s.queued))
	}
	return s.acceptQueued(&s.idle, n)
}

// acceptQueued accepts n connections that are expected, and keeps them.
func (s *server) acceptQueued(from *listeners, n int) error {
	for range n {
		fd, p, err := from.accept(func(p addrPair) bool { return s.queued[p] != nil })
		if err != nil {
			return err
		}
		waiting := s.queued[p]
		delete(s.queued, p)
		got, err := s.keep(fd, truth.Inbound, waiting.unread)
		if err != nil {
			return err
		}
		*waiting = *got
	}
	return nil
}

// keep prepares a socket that is to be leaked: keepalive, and what is left unread.
func (s *server) keep(fd int, kind truth.Kind, left unread) (*socket, error) {
	if s.keepalive {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1); err != nil {
			return nil, fmt.Errorf("switch keepalive on: %w", err)
		}
	}
	if left == nothing {
		if err := tcp.ReadToEnd(fd); err != nil {
			return nil, err
		}
	}
	return newSocket(fd, kind, left, s.pid)
}

// closable are the leaked sockets that we hold, oldest first, without streams and closed ones.
func (s *server) closable() []*socket {
	var leaked []*socket
	for _, sock := range s.sockets {
		if sock.fd >= 0 && (sock.Kind == truth.Inbound || sock.Kind == truth.Outbound) {
			leaked = append(leaked, sock)
		}
	}
	return leaked
}

// close closes our descriptors of the n oldest sockets.
func (s *server) close(n int) error {
	leaked := s.closable()
	if n > len(leaked) {
		return fmt.Errorf("close %d: %d sockets are leaked and ours", n, len(leaked))
	}
	s.release(leaked[:n])
	return nil
}

// release closes our descriptors of the sockets, and forgets the sockets that no other process
// holds.
func (s *server) release(sockets []*socket) {
	closed := map[*socket]bool{}
	for _, sock := range sockets {
		sock.release(s.pid)
		closed[sock] = len(sock.Holders) == 0
	}
	s.sockets = slices.DeleteFunc(s.sockets, func(sock *socket) bool { return closed[sock] })
}

// read reads all that is unread, including the end of file.
func (s *server) read() error {
	for _, sock := range s.closable() {
		if err := sock.readAll(); err != nil {
			return err
		}
	}
	return nil
}

func (s *server) nextUnread() unread {
	s.leaks++
	return s.unread[(s.leaks-1)%len(s.unread)]
}

// state describes what has been done so far.
func (s *server) state() truth.State {
	st := truth.State{
		PID: s.pid, Children: s.children.pids,
		Listeners: s.listeners.addrs(), IdleListeners: s.idle.addrs(), Backends: s.backends.addrs(),
		Unaccepted: len(s.queued), Established: s.healthy, Exhausted: s.exhausted,
	}
	for _, sock := range s.sockets {
		switch sock.Kind {
		case truth.Closed:
			st.Closed++
		case truth.FinWait2:
			st.FinWait2++
		case truth.Unconnected:
			st.Unconnected++
		case truth.Inbound, truth.Outbound, truth.Stream:
			st.Leaked++
		}
		if len(s.sockets) <= truth.SocketsAtMost {
			st.Sockets = append(st.Sockets, sock.Socket)
		}
	}
	return st
}
