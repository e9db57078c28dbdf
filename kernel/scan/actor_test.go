package scan_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"closewait_exporter/internal/leaktest/tcp"
)

// actorRole is the role of a process that carries out operations on connections. It reads
// operations from stdin and answers each with an operationResult.
const actorRole = "actor"

// operation is an operation to carry out. Which chooses a socket and Size an amount.
type operation struct {
	Do          string
	Which, Size int
}

// operationResult is the state of an actor, as far as only the actor knows it.
type operationResult struct {
	Error string
	Ends  []end
	Noise []uint64 // inodes of sockets that are no connection, or not any more
}

// end is one end of a connection.
type end struct {
	Local, Remote netip.AddrPort
	Inode         uint64     // 0 while it is unaccepted
	Multipath     bool       // it is one of MPTCP, perhaps fallen back to TCP
	Left          *time.Time // just before the other end was closed or shut down for the first time; nil: it was not
}

// actor is the state of a process in the role of an actor. Its sockets are plain descriptors,
// which the Go runtime does not know.
type actor struct {
	listeners   []*listener
	ends        []*heldEnd
	noise       []int
	noiseInodes []uint64 // inodes of the noise, and of what is no connection any more
	children    []*child
	threads     []*thread
	channel     [2]int // a pair of sockets through which others are sent
	inFlight    [][]*heldEnd
}

// heldEnd is an end of a connection, with the descriptors of the actor.
type heldEnd struct {
	end
	other *heldEnd
	fds   []int
	waits bool // to be accepted
}

// child is a process that has inherited sockets.
type child struct {
	cmd   *exec.Cmd
	stdin io.Closer
}

func serveOperations(in io.Reader, out io.Writer) error {
	a := &actor{}
	if err := a.setUp(); err != nil {
		return err
	}
	defer a.endChildren()
	for lines := bufio.NewScanner(in); lines.Scan(); {
		var next operation
		if err := json.Unmarshal(lines.Bytes(), &next); err != nil {
			return err
		}
		done := operationResult{}
		if err := a.do(next); err != nil {
			done.Error = fmt.Sprintf("%+v: %v", next, err)
		}
		for _, e := range a.ends {
			done.Ends = append(done.Ends, e.end)
		}
		done.Noise = a.noiseInodes
		if err := json.NewEncoder(out).Encode(done); err != nil {
			return err
		}
		a.forget()
	}
	return nil
}

// setUp opens what all operations need.
func (a *actor) setUp() error {
	_ = tcp.RaiseLoopback() // fails on a host where it is up already and we lack the capability
	var err error
	if a.channel, err = unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0); err != nil {
		return err
	}
	for _, place := range listenPlaces {
		d, err := openListener(place)
		if err != nil {
			return err
		}
		a.listeners = append(a.listeners, d)
	}
	return nil
}

func (a *actor) do(next operation) error {
	run, known := operations[next.Do]
	if !known {
		return fmt.Errorf("unknown operation")
	}
	return run(a, next)
}

// choose chooses an end of which the actor has a descriptor. It returns nil if there is none.
func (a *actor) choose(which int) *heldEnd {
	var held []*heldEnd
	for _, e := range a.ends {
		if len(e.fds) > 0 {
			held = append(held, e)
		}
	}
	if len(held) == 0 {
		return nil
	}
	return held[which%len(held)]
}

// markClosing records that the other end is notified from now on.
func (e *heldEnd) markClosing() {
	if now := time.Now(); e.other.Left == nil {
		e.other.Left = &now
	}
}

// release closes one descriptor.
func (e *heldEnd) release() {
	e.markClosing()
	last := len(e.fds) - 1
	unix.Close(e.fds[last])
	e.fds = e.fds[:last]
}

// forget removes connections of which the actor holds nothing any more, after it has reported
// them.
func (a *actor) forget() {
	gone := func(e *heldEnd) bool { return len(e.fds) == 0 && !e.waits && !a.isInFlight(e) }
	a.ends = slices.DeleteFunc(a.ends, func(e *heldEnd) bool { return gone(e) && gone(e.other) })
}

func (a *actor) isInFlight(e *heldEnd) bool {
	return slices.ContainsFunc(a.inFlight, func(sent []*heldEnd) bool { return slices.Contains(sent, e) })
}

// addNonConnection records a socket that is not a connection, or not any more.
func (a *actor) addNonConnection(fd int) error {
	inode, err := inodeOf(fd)
	if err == nil && !slices.Contains(a.noiseInodes, inode) {
		a.noiseInodes = append(a.noiseInodes, inode)
	}
	return err
}

func (a *actor) endChildren() {
	for _, c := range a.children {
		c.end()
	}
}

func (c *child) end() {
	c.stdin.Close()
	_ = c.cmd.Process.Kill()
	_ = c.cmd.Wait() // the error is that it was killed
}

func inodeOf(fd int) (uint64, error) {
	var st unix.Stat_t
	err := unix.Fstat(fd, &st)
	return st.Ino, os.NewSyscallError("fstat", err)
}
