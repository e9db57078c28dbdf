package main

import (
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"closewait_exporter/internal/leaktest/truth"
)

// batch is how many clients are there at a time: they need descriptors and room in the accept queue.
const batch = 1000

// server is the program that forgets to close. All its methods run on one goroutine.
type server struct {
	options
	pid      int
	children []int
	life     []int // pipe whose end tells children to end

	doors    doors // of the sockets that are accepted
	idle     doors // of those that are not
	backends doors // where outbound connections go
	clients  clients

	leaks   int              // how many were asked for: what is left unread takes turns
	queued  map[ends]*socket // those of sockets that wait to be accepted
	sockets []*socket        // oldest first
	streams []stream
	healthy int

	exhausted int // how often descriptors had run out
}

func newServer(o options, pid int) (*server, error) {
	s := &server{options: o, pid: pid, clients: clients{addresses: o.peers}, queued: map[ends]*socket{}}
	var err error
	if s.doors, err = openDoors(o.listen, o.connect, o.reusePort); err != nil {
		return nil, err
	}
	if o.unaccepted > 0 {
		s.idle, err = openDoors(o.idleListen, o.connect, o.reusePort)
	}
	return s, err
}

// leak makes n more sockets that wait for our close, or as many as it can.
func (s *server) leak(n int) error {
	for ; n > 0; n -= batch {
		came, err := s.visit(&s.doors, min(n, batch))
		if err = errors.Join(err, s.take(&s.doors, came)); err != nil {
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

// hang makes n more sockets that wait for our accept.
func (s *server) hang(n int) error {
	_, err := s.visit(&s.idle, n)
	return err
}

// visit lets n clients come, say what they have to say, and close. It tells how many came.
func (s *server) visit(to *doors, n int) (came int, err error) {
	var clients []int
	for len(clients) < n && err == nil {
		door, left := to.next(), s.nextUnread()
		fd, local, failed := s.clients.call(door.via)
		if failed != nil {
			err = failed
			break
		}
		clients = append(clients, fd)
		s.expect(door.ends(local), left)
		err = writeAll(fd, left.payload())
	}
	return len(clients), errors.Join(err, leave(clients))
}

// expect notes a connection that waits to be accepted.
func (s *server) expect(e ends, left unread) {
	waiting := &socket{fd: -1, unread: left}
	waiting.Socket = truth.Socket{
		Kind: truth.Unaccepted, Local: e.local, Remote: e.remote,
		RecvQ: max(left, onlyFIN).recvQ(), // before accept nobody can read
	}
	s.queued[e] = waiting
	s.sockets = append(s.sockets, waiting)
}

// accept takes n of the sockets that wait for it. They are leaked like the others then.
func (s *server) accept(n int) error {
	if n > len(s.queued) {
		return fmt.Errorf("accept %d: %d connections wait to be accepted", n, len(s.queued))
	}
	return s.take(&s.idle, n)
}

// take accepts n connections that are expected, and keeps them.
func (s *server) take(from *doors, n int) error {
	for range n {
		fd, e, err := from.accept(func(e ends) bool { return s.queued[e] != nil })
		if err != nil {
			return err
		}
		waiting := s.queued[e]
		delete(s.queued, e)
		got, err := s.keep(fd, truth.Inbound, waiting.unread)
		if err != nil {
			return err
		}
		*waiting = *got
	}
	return nil
}

// keep dresses a socket that is to be leaked as asked for.
func (s *server) keep(fd int, kind truth.Kind, left unread) (*socket, error) {
	if s.keepalive {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1); err != nil {
			return nil, fmt.Errorf("switch keepalive on: %w", err)
		}
	}
	if left == nothing {
		if err := readToEnd(fd); err != nil {
			return nil, err
		}
	}
	return newSocket(fd, kind, left, s.pid)
}

// closable are the sockets that we leak and hold ourselves, oldest first: no streams, nothing defunct.
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

// release closes our descriptors of some sockets, and forgets those that nobody else holds.
func (s *server) release(sockets []*socket) {
	closed := map[*socket]bool{}
	for _, sock := range sockets {
		sock.release(s.pid)
		closed[sock] = len(sock.Holders) == 0
	}
	s.sockets = slices.DeleteFunc(s.sockets, func(sock *socket) bool { return closed[sock] })
}

// read reads all that is unread, the end of file too.
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

// state is what we know of ourselves.
func (s *server) state() truth.State {
	st := truth.State{
		PID: s.pid, Children: s.children,
		Listeners: s.doors.addrs(), IdleListeners: s.idle.addrs(), Backends: s.backends.addrs(),
		Unaccepted: len(s.queued), Established: s.healthy, Exhausted: s.exhausted,
	}
	for _, sock := range s.sockets {
		switch sock.Kind {
		case truth.Defunct:
			st.Defunct++
		case truth.Inbound, truth.Outbound, truth.Stream:
			st.Leaked++
		}
		if len(s.sockets) <= truth.SocketsAtMost {
			st.Sockets = append(st.Sockets, sock.Socket)
		}
	}
	return st
}
