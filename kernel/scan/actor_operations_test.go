package scan_test

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// operations are all operations of an actor. An operation that is not possible at the moment does
// nothing.
var operations = map[string]func(*actor, operation) error{
	"connect": (*actor).connect, "accept": (*actor).accept, "reopen": (*actor).reopen,
	"write": onEnd((*heldEnd).write), "read": onEnd((*heldEnd).read), "shutdown": onEnd((*heldEnd).shutWrite),
	"close": onEnd((*heldEnd).close), "reset": onEnd((*heldEnd).reset), "dup": onEnd((*heldEnd).dup),
	"set": onEnd((*heldEnd).setAttribute), "disconnect": (*actor).disconnect,
	"noise": (*actor).addNoise, "fork": (*actor).fork, "reap": (*actor).reap,
	"send": (*actor).send, "receive": (*actor).receive, "thread": (*actor).startThread, "join": (*actor).endThread,
}

func onEnd(f func(*heldEnd, int) error) func(*actor, operation) error {
	return func(a *actor, next operation) error {
		if e := a.choose(next.Which); e != nil {
			return f(e, next.Size)
		}
		return nil
	}
}

const maxEnds = 60

func (a *actor) connect(next operation) error {
	d := a.listeners[next.Which%len(a.listeners)]
	if len(a.ends) >= maxEnds {
		return nil
	}
	protocol := d.protocol
	switch next.Size % 16 {
	case 0: // its peer does not know MPTCP: it falls back to TCP
		protocol = unix.IPPROTO_MPTCP
	case 1, 3, 5, 7:
		protocol = 0
	}
	fd, local, remote, err := d.connect(protocol)
	if err != nil {
		return err
	}
	inode, err := inodeOf(fd)
	client := &heldEnd{end: end{Local: local, Remote: remote, Inode: inode, Multipath: isMultipath(fd)}, fds: []int{fd}}
	server := &heldEnd{end: end{Local: d.asSeenBy(remote), Remote: d.asSeenBy(local)}, other: client, waits: true}
	client.other = server
	a.ends = append(a.ends, client, server)
	if err == nil && next.Size%5 > 0 {
		err = a.accept(next)
	}
	return err
}

func (a *actor) accept(next operation) error {
	d := a.listeners[next.Which%len(a.listeners)]
	unix.SetNonblock(d.fd, true)
	fd, caller, err := d.accept()
	if errors.Is(err, unix.EAGAIN) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range a.ends {
		if e.waits && e.Remote == caller && e.Local.Port() == d.port {
			e.waits, e.fds, e.Multipath = false, []int{fd}, isMultipath(fd)
			e.Inode, err = inodeOf(fd)
			return err
		}
	}
	unix.Close(fd)
	return errors.New("accepted an unknown client: " + caller.String())
}

// reopen closes a listener and opens another one on the same place. Connections that wait to be
// accepted are reset.
func (a *actor) reopen(next operation) error {
	i := next.Which % len(a.listeners)
	unix.Close(a.listeners[i].fd)
	for _, e := range a.ends {
		if e.waits && e.Local.Port() == a.listeners[i].port {
			e.markClosing()
			e.waits = false
		}
	}
	var err error
	a.listeners[i], err = openListener(a.listeners[i].place)
	return err
}

// write sends some bytes, or more than fit into the buffers, so that a probe timer runs.
func (e *heldEnd) write(size int) error {
	for {
		_, err := unix.SendmsgN(e.fds[0], make([]byte, 1+size%(1<<17)), nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		if err != nil || size%4 > 0 {
			return ignoreConnectionState(err)
		}
	}
}

// read reads all data that has arrived, or one byte.
func (e *heldEnd) read(size int) error {
	buffer := make([]byte, 1<<16)
	for {
		n, _, err := unix.Recvfrom(e.fds[0], buffer[:max(1, size%3*len(buffer)/2)], unix.MSG_DONTWAIT)
		if n <= 0 || err != nil || size%3 == 0 {
			return ignoreConnectionState(err)
		}
	}
}

// ignoreConnectionState returns nil for errors that follow from the state of a connection.
func ignoreConnectionState(err error) error {
	for _, state := range []error{unix.EAGAIN, unix.EPIPE, unix.ECONNRESET, unix.ENOTCONN} {
		if errors.Is(err, state) {
			return nil
		}
	}
	return err
}

func (e *heldEnd) shutWrite(int) error {
	e.markClosing()
	return ignoreConnectionState(unix.Shutdown(e.fds[0], unix.SHUT_WR))
}

// close closes one descriptor, or all of them.
func (e *heldEnd) close(size int) error {
	e.release()
	for size%2 == 0 && len(e.fds) > 0 {
		e.release()
	}
	return nil
}

func (e *heldEnd) reset(int) error {
	err := unix.SetsockoptLinger(e.fds[0], unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	return errors.Join(err, e.close(0))
}

func (e *heldEnd) dup(int) error {
	fd, err := unix.FcntlInt(uintptr(e.fds[0]), unix.F_DUPFD_CLOEXEC, 0)
	if err == nil {
		e.fds = append(e.fds, fd)
	}
	return err
}

// setAttribute changes an attribute of a socket that tables show.
func (e *heldEnd) setAttribute(size int) error {
	switch size % 3 {
	case 0:
		return unix.SetsockoptInt(e.fds[0], unix.SOL_SOCKET, unix.SO_KEEPALIVE, size/3%2)
	case 1:
		err := unix.Fchown(e.fds[0], size%1000, -1)
		if errors.Is(err, unix.EPERM) {
			return nil
		}
		return err
	default:
		if e.Left != nil { // netlink would search for it on the other interface
			return nil
		}
		err := unix.SetsockoptString(e.fds[0], unix.SOL_SOCKET, unix.SO_BINDTODEVICE, "lo")
		if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EINVAL) { // MPTCP wants a connection
			return nil
		}
		return err
	}
}

// disconnect dissolves a connection (connect(2) with AF_UNSPEC).
func (a *actor) disconnect(next operation) error {
	e := a.choose(next.Which)
	if e == nil {
		return nil
	}
	e.markClosing()
	var unspecified unix.RawSockaddr // of family AF_UNSPEC
	_, _, errno := unix.Syscall(unix.SYS_CONNECT, uintptr(e.fds[0]), uintptr(unsafe.Pointer(&unspecified)), unsafe.Sizeof(unspecified))
	if errno != 0 {
		return ignoreConnectionState(errno)
	}
	return a.addNonConnection(e.fds[0])
}

// maxNoise is the maximum number of open sockets that hold no connection.
const maxNoise = 8

// addNoise opens a socket that holds no connection and never did.
func (a *actor) addNoise(next operation) error {
	if len(a.noise) >= maxNoise {
		unix.Close(a.noise[0])
		a.noise = slices.Delete(a.noise, 0, 1)
	}
	loopback := netip.MustParseAddr([]string{"127.0.0.1", "::1"}[next.Which%2])
	fd, err := newSocketOf(loopback, 0)
	if err != nil {
		return err
	}
	a.noise = append(a.noise, fd)
	switch bind := func() error { return unix.Bind(fd, sockaddr(netip.AddrPortFrom(loopback, 0))) }; next.Size % 5 {
	case 1:
		err = bind()
	case 2: // a listener that was shut down
		err = errors.Join(bind(), unix.Listen(fd, 1), unix.Shutdown(fd, unix.SHUT_RDWR))
	case 3: // nothing listens on port 1
		err = unix.SetNonblock(fd, true)
		if refused := unix.Connect(fd, sockaddr(netip.AddrPortFrom(loopback, 1))); refused == nil {
			err = errors.New("port 1 is open")
		}
	case 4:
		return a.addUnanswered(fd, loopback)
	}
	return errors.Join(err, a.addNonConnection(fd))
}

// addUnanswered opens a listener that drops all packets, and a client that waits for its answer.
func (a *actor) addUnanswered(fd int, loopback netip.Addr) error {
	dropAll := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K} // 0 bytes of each packet
	err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &dropAll})
	if errors.Is(err, unix.EPERM) { // the memory for socket filters may be used up
		return a.addNonConnection(fd)
	}
	err = errors.Join(err, unix.Bind(fd, sockaddr(netip.AddrPortFrom(loopback, 0))), unix.Listen(fd, 1), a.addNonConnection(fd))
	if err != nil {
		return err
	}
	local, err := unix.Getsockname(fd)
	if err != nil {
		return err
	}
	client, err := newSocketOf(loopback, 0)
	if err != nil {
		return err
	}
	a.noise = append(a.noise, client)
	if err := errors.Join(unix.SetNonblock(client, true), a.addNonConnection(client)); err != nil {
		return err
	}
	if err := unix.Connect(client, local); !errors.Is(err, unix.EINPROGRESS) {
		return fmt.Errorf("connect to a listener that drops all packets: %w", err)
	}
	return nil
}
