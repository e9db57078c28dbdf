package inspect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel/child"
	"closewait_exporter/kernel/fdscan"
	"closewait_exporter/kernel/host"
)

// maxPeeks bounds the sockets whose unread data is read.
const maxPeeks = 1024

// peekRequest asks for the first unread line of a socket.
type peekRequest struct {
	Handle fdscan.Handle
	Cookie uint64
	Index  int // of the socket in the facts
}

// peek reads the first unread line of each socket with unread data.
func (r *reading) peek(ctx context.Context, t *table, mine held) {
	r.facts.Peeked = true
	request := memoryRequest{Process: r.process.ID}
	inodes := slices.SortedFunc(maps.Keys(r.indices), func(a, b uint64) int { return cmp.Compare(r.indices[a], r.indices[b]) })
	for _, inode := range inodes {
		if i := r.indices[inode]; r.facts.Sockets[i].HasUnreadData() {
			request.Peeks = append(request.Peeks, peekRequest{mine[inode], t.rows[t.byInode[inode]].Cookie, i})
		}
	}
	if rest := len(request.Peeks) - maxPeeks; rest > 0 {
		r.missing("unread data", fmt.Errorf("%d sockets have some, and %d of them were read", len(request.Peeks), maxPeeks))
		request.Peeks = request.Peeks[:maxPeeks]
	}
	if len(request.Peeks) == 0 {
		return
	}
	var failed error
	err := child.Ask(ctx, r.child, request, func(a *memoryAnswer) {
		if a.Line != "" {
			r.facts.Sockets[request.Peeks[a.Peek].Index].FirstLine = a.Line
		}
		if a.Error != "" && failed == nil {
			failed = errors.New(a.Error)
		}
	})
	r.missing("unread data of some sockets", errors.Join(err, failed))
}

// peekAll answers requests for unread lines, each by its index.
func peekAll(h *host.Host, process host.Directory, id closewait.ProcessID, requests []peekRequest, answer func(memoryAnswer) error) error {
	if len(requests) == 0 {
		return nil
	}
	if !h.PIDsAreOurs {
		return answer(memoryAnswer{Error: h.Path + " shows the pids of another pid namespace"})
	}
	pidfd, err := unix.PidfdOpen(id.PID, 0)
	if err != nil {
		return answer(memoryAnswer{Error: fmt.Sprintf("open pidfd of process %d: %v", id.PID, err)})
	}
	defer unix.Close(pidfd)
	if !h.Lives(id) { // checked after the pidfd was opened: it is of this process
		return nil
	}
	for i := range requests {
		line, err := requests[i].read(pidfd, process)
		a := memoryAnswer{Peek: i, Line: line}
		if err != nil && !errors.Is(err, errChanged) && !host.Vanished(err) {
			a.Error = err.Error()
		}
		if err := answer(a); err != nil {
			return err
		}
	}
	return nil
}

// errChanged says that the program has closed the descriptor or read the data meanwhile.
var errChanged = errors.New("changed meanwhile")

// read returns the first unread line. The program notices nothing: it reads the same data later.
func (p *peekRequest) read(pidfd int, process host.Directory) (line string, err error) {
	ownThread := func(tid int) error {
		_, err := process.Stat("task/" + strconv.Itoa(tid))
		return err
	}
	err = p.Handle.WithDuplicate(pidfd, ownThread, func(fd int) error {
		cookie, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_COOKIE)
		if err != nil || cookie != p.Cookie {
			return errChanged
		}
		if err := requirePeekable(fd); err != nil {
			return err
		}
		data := make([]byte, peekSize)
		n, _, err := unix.Recvfrom(fd, data, unix.MSG_PEEK|unix.MSG_DONTWAIT)
		if err != nil || n == 0 {
			return errChanged
		}
		line = firstLine(data[:n])
		return nil
	})
	if errors.Is(err, unix.EBADF) {
		err = errChanged
	}
	return line, err
}

// requirePeekable fails where a peek would change what the program sees. Without data it would take
// the error of the connection, such as ECONNRESET. With SO_PEEK_OFF it would move the offset at
// which the program peeks. An upper protocol, such as TLS in the kernel, decrypts what is peeked.
func requirePeekable(fd int) error {
	n, err := unix.IoctlGetInt(fd, unix.SIOCINQ)
	if err != nil || n == 0 {
		return errChanged
	}
	if offset, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PEEK_OFF); err == nil && offset >= 0 {
		return errors.New("the program uses SO_PEEK_OFF, which a peek would move")
	}
	if upper, err := unix.GetsockoptString(fd, unix.IPPROTO_TCP, unix.TCP_ULP); err == nil && upper != "" {
		return fmt.Errorf("the connection uses the upper protocol %q", upper)
	}
	return nil
}
