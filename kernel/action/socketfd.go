package action

import (
	"context"
	"errors"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel/fdscan"
	"closewait_exporter/kernel/host"
)

// socketFDs finds a descriptor of the process for each of the sockets, by inode.
func (h *ProcessHandle) socketFDs(ctx context.Context, sockets []*closewait.Socket) (map[uint64]fdscan.Handle, error) {
	inodes := make([]uint64, 0, len(sockets))
	for _, s := range sockets {
		if s.Accepted() {
			inodes = append(inodes, s.Inode)
		}
	}
	var found map[uint64]fdscan.Handle
	err := h.withDirectory(func(dir host.Directory) (err error) {
		found, err = fdscan.Find(ctx, h.executor.host, dir, h.id.PID, inodes)
		return err
	})
	return found, host.GoneIfVanished(err)
}

// withDuplicate calls f with a duplicate of a descriptor of the process. f must identify the
// socket, because the number can belong to another file by now.
func (h *ProcessHandle) withDuplicate(d fdscan.Handle, f func(fd int) error) error {
	return h.WithPidfd(func(pidfd int) error { return d.WithDuplicate(pidfd, h.requireOwnThread, f) })
}

// requireOwnThread fails if a thread that was opened by its id belongs to another process.
func (h *ProcessHandle) requireOwnThread(tid int) error {
	return h.withDirectory(func(dir host.Directory) error {
		_, err := dir.Stat("task/" + strconv.Itoa(tid))
		return err
	})
}

var (
	errSocketChanged   = errors.New("not the same socket in the same state any more")
	errNotIdentifiable = errors.New("cannot be identified by its descriptor: an MPTCP socket is shut down in CLOSE_WAIT only, and if a scanner other than procfs has seen it")
)

// socketChanged reports whether an error of withDuplicate or identify means that the descriptor was
// closed, belongs to another socket, or that the state of the socket has changed.
func socketChanged(err error) bool {
	return errors.Is(err, errSocketChanged) || errors.Is(err, unix.EBADF) || host.Vanished(err)
}

// identify returns nil if fd is the given socket in the given state. It takes microseconds, unless
// a thread that has locked the socket is blocked.
func identify(fd int, s *closewait.Socket) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFSOCK || st.Ino != s.Inode {
		return errSocketChanged
	}
	protocol, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PROTOCOL)
	if err != nil {
		return os.NewSyscallError("getsockopt", err)
	}
	if (protocol == unix.IPPROTO_MPTCP) != s.MPTCP {
		return errNotIdentifiable // procfs has seen the TCP socket below an MPTCP one
	}
	switch same, err := sameIdentity(fd, s); {
	case err != nil:
		return err
	case !same:
		return errSocketChanged
	}
	if s.MPTCP {
		return inMPTCPState(fd, s.State)
	}
	info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		return os.NewSyscallError("getsockopt", err)
	}
	if info.State != host.TCPState(s.State) {
		return errSocketChanged
	}
	return nil
}

// inMPTCPState returns nil if an MPTCP socket is in CLOSE_WAIT as wanted. TCP_INFO has the state of
// its first path, and poll(2) shows in its own state only whether each side has closed (mptcp_poll
// in net/mptcp/protocol.c), so that other states cannot be told apart.
func inMPTCPState(fd int, state closewait.State) error {
	polled := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
	if _, err := host.RetryEINTR(func() (int, error) { return unix.Poll(polled, 0) }); err != nil {
		return os.NewSyscallError("poll", err)
	}
	const bothClosed, peerClosed = unix.POLLHUP, unix.POLLRDHUP
	isCloseWait := polled[0].Revents&(bothClosed|peerClosed) == peerClosed
	switch {
	case isCloseWait != (state == closewait.CloseWait):
		return errSocketChanged
	case !isCloseWait:
		return errNotIdentifiable
	}
	return nil
}

// sameIdentity compares the cookies or, if the scan has found none, the addresses. The kernel does
// not return the remote address of a closed socket (getpeername(2)), so there only the local
// address is compared, besides the inode, which the caller has compared.
func sameIdentity(fd int, s *closewait.Socket) (bool, error) {
	if s.ID.Cookie != 0 {
		cookie, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_COOKIE)
		return cookie == s.ID.Cookie, os.NewSyscallError("getsockopt", err)
	}
	local, err := unix.Getsockname(fd)
	if err != nil {
		return false, os.NewSyscallError("getsockname", err)
	}
	if !s.State.Listed() {
		return addressOf(local) == s.Local, nil
	}
	remote, err := unix.Getpeername(fd)
	if errors.Is(err, unix.ENOTCONN) {
		return false, nil
	}
	return addressOf(local) == s.Local && addressOf(remote) == s.Remote, os.NewSyscallError("getpeername", err)
}
