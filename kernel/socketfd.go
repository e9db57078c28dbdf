package kernel

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"closewait_exporter/closewait"
)

// socketFD is a descriptor of the process that is a socket.
type socketFD struct {
	thread int // whose table it is in: as a rule the main thread's, which all share
	number int
}

// socketFDs finds the descriptors of the process that are the wanted sockets, by inode. One for each
// socket is enough.
func (g *Grip) socketFDs(ctx context.Context, sockets []*closewait.Socket) (map[uint64]socketFD, error) {
	wanted := make(map[uint64]bool, len(sockets))
	for _, s := range sockets {
		wanted[s.Inode] = s.Accepted()
	}
	found := make(map[uint64]socketFD, len(sockets))
	err := g.inDirectory(func(dir Directory) error {
		if err := searchTable(dir, "fd", g.id.PID, wanted, found); err != nil {
			return err
		}
		if len(found) == len(wanted) {
			return nil
		}
		return g.searchThreads(ctx, dir, wanted, found)
	})
	return found, GoneIfVanished(err)
}

func searchTable(at Directory, path string, thread int, wanted map[uint64]bool, found map[uint64]socketFD) error {
	fds, err := OpenDirectory(at, path)
	if err != nil {
		return err
	}
	defer fds.Close()
	var target [64]byte
	return fds.Each(make([]byte, 32<<10), func(name []byte) {
		link, err := fds.Link(name, target[:])
		if err != nil {
			return // closed meanwhile
		}
		number, _ := ParseNumber(name)
		if inode, ok := ParseLink(link, "socket"); ok && wanted[inode] {
			found[inode] = socketFD{thread, int(number)}
		}
	})
}

// searchThreads looks into the tables of threads that have one of their own, as all others have when
// the main thread has ended before them.
func (g *Grip) searchThreads(ctx context.Context, dir Directory, wanted map[uint64]bool, found map[uint64]socketFD) error {
	threads, err := OpenDirectory(dir, "task")
	if err != nil {
		return err
	}
	defer threads.Close()
	tids, err := threads.Numbers(make([]byte, 32<<10))
	if err != nil {
		return err
	}
	tables := []int{g.id.PID}
	for _, tid := range tids {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if tid == g.id.PID || g.hands.scanner.sharesTable(threads, tid, tables) {
			continue
		}
		tables = append(tables, tid)
		if err := searchTable(threads, strconv.Itoa(tid)+"/fd", tid, wanted, found); err != nil && !Vanished(err) {
			return err
		}
	}
	return nil
}

// duplicate calls f with a descriptor of our own for what the process has there: a socket that is
// still to be identified, for the number can mean another one by now. It is closed at once, as
// the close(2) of the program sends no FIN as long as it is open.
func (g *Grip) duplicate(d socketFD, f func(fd int) error) error {
	get := func(pidfd int) error {
		fd, err := unix.PidfdGetfd(pidfd, d.number, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		return f(fd)
	}
	if d.thread == g.id.PID {
		return g.control(get)
	}
	thread, err := unix.PidfdOpen(d.thread, unix.PIDFD_THREAD) // since Linux 6.9
	if err != nil {
		return fmt.Errorf("open pidfd of thread %d: %w", d.thread, err)
	}
	defer unix.Close(thread)
	if err := g.ownsThread(d.thread); err != nil {
		return err
	}
	return get(thread)
}

// ownsThread makes sure that a thread id which was opened is that of a thread of the process.
func (g *Grip) ownsThread(tid int) error {
	return g.inDirectory(func(dir Directory) error {
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
		return TCPClose
	}
	return TCPCloseWait
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
