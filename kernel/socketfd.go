package kernel

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel/fdscan"
	"closewait_exporter/kernel/host"
)

// socketFDs finds the descriptors of the process that are the wanted sockets, by inode: one for each
// socket.
func (g *Grip) socketFDs(ctx context.Context, sockets []*closewait.Socket) (map[uint64]fdscan.Handle, error) {
	inodes := make([]uint64, 0, len(sockets))
	for _, s := range sockets {
		if s.Accepted() {
			inodes = append(inodes, s.Inode)
		}
	}
	var found map[uint64]fdscan.Handle
	err := g.inDirectory(func(dir host.Directory) (err error) {
		found, err = fdscan.Find(ctx, g.hands.host, dir, g.id.PID, inodes)
		return err
	})
	return found, host.GoneIfVanished(err)
}

// duplicate calls f with a descriptor of our own for what the process has there: a socket that is
// still to be identified, for the number can mean another one by now. It is closed at once, as
// the close(2) of the program sends no FIN as long as it is open.
func (g *Grip) duplicate(d fdscan.Handle, f func(fd int) error) error {
	get := func(pidfd int) error {
		fd, err := unix.PidfdGetfd(pidfd, int(d.Number), 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		return f(fd)
	}
	if d.Thread == 0 {
		return g.control(get)
	}
	thread, err := unix.PidfdOpen(int(d.Thread), unix.PIDFD_THREAD) // since Linux 6.9
	if err != nil {
		return fmt.Errorf("open pidfd of thread %d: %w", int(d.Thread), err)
	}
	defer unix.Close(thread)
	if err := g.ownsThread(int(d.Thread)); err != nil {
		return err
	}
	return get(thread)
}

// ownsThread makes sure that a thread id which was opened is that of a thread of the process.
func (g *Grip) ownsThread(tid int) error {
	return g.inDirectory(func(dir host.Directory) error {
		_, err := dir.Stat("task/" + strconv.Itoa(tid))
		return err
	})
}

// Why a duplicate does not settle whether it is the socket in question.
var (
	errOther   = errors.New("not the same socket in the same state any more")
	errUnknown = errors.New("cannot be told from its descriptor")
)

// identify returns nil when fd is this very socket, and in CLOSE_WAIT or as defunct as it is given. It takes microseconds, unless
// some thread hangs with the socket locked.
func identify(fd int, s *closewait.Socket) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFSOCK || st.Ino != s.Inode {
		return errOther
	}
	// An MPTCP socket has a cookie and a state of its own, other than the TCP sockets below it that
	// stand in the tables.
	protocol, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PROTOCOL)
	if err != nil {
		return os.NewSyscallError("getsockopt", err)
	}
	if protocol != unix.IPPROTO_TCP {
		return errUnknown
	}
	switch same, err := hasIdentity(fd, s); {
	case err != nil:
		return err
	case !same:
		return errOther
	}
	info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		return os.NewSyscallError("getsockopt", err)
	}
	if info.State != stateOf(s) {
		return errOther
	}
	return nil
}

// stateOf is the state in which a socket is expected.
func stateOf(s *closewait.Socket) uint8 {
	if s.Defunct {
		return host.TCPClose
	}
	return host.TCPCloseWait
}

// hasIdentity compares the cookie or, where the scan knew none, the addresses. Of a defunct socket the
// kernel does not tell the remote one (getpeername(2)), so the inode, which is known to be the same, and
// the local address must do.
func hasIdentity(fd int, s *closewait.Socket) (bool, error) {
	if s.ID.Cookie != 0 {
		cookie, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_COOKIE)
		return cookie == s.ID.Cookie, os.NewSyscallError("getsockopt", err)
	}
	local, err := unix.Getsockname(fd)
	if err != nil {
		return false, os.NewSyscallError("getsockname", err)
	}
	if s.Defunct {
		return addressOf(local) == s.Local, nil
	}
	remote, err := unix.Getpeername(fd)
	if errors.Is(err, unix.ENOTCONN) {
		return false, nil
	}
	return addressOf(local) == s.Local && addressOf(remote) == s.Remote, os.NewSyscallError("getpeername", err)
}
