package action

import (
	"maps"
	"net"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/internal/leaktest"
	"closewait_exporter/kernel/fdscan"
	"closewait_exporter/kernel/host"
	"closewait_exporter/kernel/sockdiag"
)

// soon is how long a test waits for an event that must happen. It only bounds a test that has gone
// wrong, so it is long enough for a loaded machine.
const soon = 60 * time.Second

// newExecutor returns an Executor for this host.
func newExecutor(t testing.TB) *Executor {
	t.Helper()
	leaktest.RequireRoot(t)
	h, err := host.Open(host.DefaultPath)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	e, err := New(h, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// closeWaitSocketsOf returns the sockets in CLOSE_WAIT that a process holds, as a scan finds them.
func closeWaitSocketsOf(t testing.TB, pid int) (held []*closewait.Socket) {
	t.Helper()
	h, err := host.Open(host.DefaultPath)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	byInode := map[uint64]*closewait.Socket{}
	for _, ns := range h.Namespaces([]int{pid}) {
		err := h.InNamespace(t.Context(), ns.ID, func() error {
			_, err := sockdiag.NewDumper(host.TCPCloseWait).Dump(t.Context(), func(row *sockdiag.Row) {
				s := &closewait.Socket{Facts: closewait.Facts{
					ID: closewait.CookieID(ns.ID, row.Cookie), Local: row.Local, Remote: row.Remote, Inode: uint64(row.Inode), MPTCP: row.MPTCP,
				}}
				if s.Accepted() {
					byInode[s.Inode] = s
				}
			})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	dir, err := h.Proc.OpenPID(pid)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	found, err := fdscan.Find(t.Context(), h, dir, pid, slices.Collect(maps.Keys(byInode)))
	if err != nil {
		t.Fatal(err)
	}
	for inode := range found {
		held = append(held, byInode[inode])
	}
	return held
}

// target is a process that holds a socket in CLOSE_WAIT. The peer of the socket is in this process.
type target struct {
	cmd    *exec.Cmd
	socket *closewait.Socket
	peer   *net.TCPConn
}

// newTarget starts a process that never uses its socket, which is its descriptor 3.
func newTarget(t *testing.T, at place) target {
	t.Helper()
	c := at.connect(t)
	file := detach(t, c)
	cmd := startSleep(t, file)
	_ = file.Close()
	list := closeWaitSocketsOf(t, cmd.Process.Pid)
	if len(list) != 1 {
		t.Fatalf("found %d sockets, want one", len(list))
	}
	return target{cmd, list[0], c.Client}
}

func (p target) pid() int { return p.cmd.Process.Pid }

// holdsSocket reports whether descriptor 3 is still the socket.
func (p target) holdsSocket(t *testing.T) bool {
	t.Helper()
	link, err := os.Readlink("/proc/" + itoa(p.pid()) + "/fd/3")
	return err == nil && link == "socket:["+utoa(p.socket.Inode)+"]"
}

// peerReadError returns the error with which a read of the peer ends.
func (p target) peerReadError(t *testing.T) error {
	t.Helper()
	if err := p.peer.SetReadDeadline(time.Now().Add(soon)); err != nil {
		t.Fatal(err)
	}
	_, err := p.peer.Read(make([]byte, 1))
	return err
}
