package main

import (
	"fmt"

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
	doors    doors
	backends doors // where outbound connections go
	clients  clients
	leaks    int // how many were asked for: what is left unread takes turns
	queued   map[ends]*socket
	sockets  []*socket // oldest first, those in the queue too
	streams  []stream
	healthy  int
}

func newServer(o options, pid int) (*server, error) {
	s := &server{options: o, pid: pid, clients: clients{addresses: o.peers}, queued: map[ends]*socket{}}
	var err error
	s.doors, err = openDoors(o.listen, o.connect, o.reusePort)
	return s, err
}

// leak makes n more sockets that wait for our close: clients come, say what they say, and close;
// we accept.
func (s *server) leak(n int) error {
	for ; n > 0; n -= batch {
		if err := s.queue(min(n, batch)); err != nil {
			return err
		}
		if err := s.accept(min(n, batch)); err != nil {
			return err
		}
	}
	return nil
}

// queue makes n sockets that wait for our accept.
func (s *server) queue(n int) error {
	var clients []int
	defer func() {
		for _, fd := range clients {
			unix.Close(fd)
		}
	}()
	for range n {
		door, left := s.doors.next(), s.nextUnread()
		fd, local, err := s.clients.call(door.via)
		if err != nil {
			return err
		}
		clients = append(clients, fd)
		if err := writeAll(fd, left.payload()); err != nil {
			return err
		}
		s.wait(door.ends(local), left)
	}
	err := leave(clients)
	clients = nil
	return err
}

// wait notes a connection that waits to be accepted.
func (s *server) wait(e ends, left unread) {
	waiting := &socket{fd: -1, unread: left}
	waiting.Socket = truth.Socket{
		Kind: truth.Unaccepted, Local: e.local, Remote: e.remote,
		RecvQ: max(left, onlyFIN).recvQ(), // before accept nobody can read
	}
	s.queued[e] = waiting
	s.sockets = append(s.sockets, waiting)
}

// accept takes n sockets from the queue, as the kernel hands them out: oldest first at each listener.
func (s *server) accept(n int) error {
	if n > len(s.queued) {
		return fmt.Errorf("accept %d: %d connections wait to be accepted", n, len(s.queued))
	}
	for range n {
		if err := s.acceptOne(); err != nil {
			return err
		}
	}
	return nil
}

func (s *server) acceptOne() error {
	fd, e, err := s.doors.accept(func(e ends) bool { return s.queued[e] != nil })
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

// close closes our descriptors of the n oldest sockets, streams and defunct ones left out.
func (s *server) close(n int) error {
	var kept []*socket
	for _, sock := range s.sockets {
		closable := sock.fd >= 0 && (sock.Kind == truth.Inbound || sock.Kind == truth.Outbound)
		if closable && n > 0 {
			n--
			if sock.release(s.pid) {
				continue
			}
		}
		kept = append(kept, sock)
	}
	s.sockets = kept
	if n > 0 {
		return fmt.Errorf("close: %d fewer sockets are leaked than are to be closed", n)
	}
	return nil
}

// read reads all that is unread, the end of file too.
func (s *server) read() error {
	for _, sock := range s.sockets {
		if sock.fd >= 0 && sock.Kind != truth.Defunct {
			if err := sock.readAll(); err != nil {
				return err
			}
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
		Listeners: s.doors.addrs(), Backends: s.backends.addrs(),
		Unaccepted: len(s.queued), Established: s.healthy,
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
