package kernel

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"closewait_exporter/closewait"
)

// Hands act on processes and sockets of the host that a Scanner sees. They are safe for concurrent
// use, and keep nothing open: what they act on is kept in a Grip. The files of the hands, in the
// order in which a process goes through them: pidfd.go takes hold of it, state.go and freezer.go
// tell whether it runs at all, holders.go and evidence.go look anew before each step; nofile.go,
// guard.go, destroy.go, shutdown.go, threaddump.go and signal.go are the steps, and wait.go sees
// the end of it.
type Hands struct {
	scanner  *Scanner // its way into /proc and its walk; nothing that a Scan changes
	freezers []freezer
	short    *patience // for what takes microseconds, unless the kernel hangs
	long     *patience // for what may go through all sockets of a namespace
}

// At most so many calls into the kernel may hang at the same time, for all processes together.
const mostHanging = 4

// NewHands returns hands for what the Scanner sees. The Scanner must not be closed before they are
// done; it may scan meanwhile. It fails where the pids that the Scanner sees are not those
// which this process would signal, and where the kernel has no pidfds: without, a signal could hit
// a process that has got the pid of another one.
func NewHands(s *Scanner) (*Hands, error) {
	if err := s.checkPIDs(); err != nil {
		return nil, err
	}
	if err := probePidfd(); err != nil {
		return nil, err
	}
	return &Hands{
		scanner:  s,
		freezers: findFreezers(),
		short:    &patience{most: mostHanging, limit: time.Second},
		long:     &patience{most: mostHanging, limit: 30 * time.Second},
	}, nil
}

// checkPIDs tells why the pids of the Scanner mean nothing to this process: NSpid lists the pid of a
// process in the pid namespace of the proc file system and in each below it that it lives in, so a
// second one says that this process is in a namespace of its own.
func (s *Scanner) checkPIDs() error {
	status, err := s.proc.Read("self/status", nil)
	if err != nil && !Vanished(err) {
		return fmt.Errorf("find own pid: %w", err)
	}
	if !s.pidsAreOurs || len(strings.Fields(StatusField(status, "NSpid"))) > 1 {
		return fmt.Errorf("%s belongs to another pid namespace, so its pids mean other processes here: run in that of the host (docker run --pid=host, hostPID: true)", s.options.ProcFS)
	}
	return nil
}

// statusField is the value of a line of /proc/PID/status, empty where there is none of that name.
// The comm, which the process chooses, comes first; the kernel escapes newlines in it.
func StatusField(status []byte, name string) string {
	for line := range strings.Lines(string(status)) {
		if value, found := strings.CutPrefix(line, name+":"); found {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// pids lists all processes. Unlike listPIDs it may be called while a scan runs.
func (h *Hands) pids() ([]int, error) {
	list, err := OpenDirectory(h.scanner.proc, ".")
	if err != nil {
		return nil, err
	}
	defer list.Close()
	return list.Numbers(make([]byte, 32<<10))
}

// inNamespace calls f on a thread in a network namespace, which it enters through any process that
// lives there. f is called once or not at all. ESRCH says that nobody lives there any more.
func (h *Hands) inNamespace(ctx context.Context, id closewait.NetNS, f func() error) error {
	if id == h.scanner.own.ID {
		return f()
	}
	pids, err := h.pids()
	if err != nil {
		return fmt.Errorf("look for network namespace %d: %w", id, err)
	}
	ways := h.waysInto(id, pids)
	entered, failure := false, fmt.Errorf("network namespace %d has no process left: %w", id, unix.ESRCH)
	inNamespaces(h.scanner.proc, ways, func(_ Namespace, err error) {
		switch {
		case entered || ctx.Err() != nil:
		case err == nil:
			entered, failure = true, f()
		case !Vanished(err):
			failure = err
		}
	})
	if !entered && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return failure
}

// mostWays is how many processes are tried to enter a namespace: any of them can end meanwhile.
const mostWays = 4

func (h *Hands) waysInto(id closewait.NetNS, pids []int) []Namespace {
	var ways []Namespace
	for _, pid := range pids {
		if via, ns := h.namespaceOf(strconv.Itoa(pid)); ns == id {
			ways = append(ways, Namespace{ID: id, Via: via})
		}
		if len(ways) == mostWays {
			break
		}
	}
	return ways
}

// namespaceOf finds the network namespace of a process, or of a thread that is left when the main
// thread has ended. It is 0 where it cannot be read: another process may do.
func (h *Hands) namespaceOf(pid string) (via string, ns closewait.NetNS) {
	ns, err := ReadNamespace(h.scanner.proc, pid+"/ns/net")
	if !Vanished(err) {
		return pid, ns
	}
	threads, err := OpenDirectory(h.scanner.proc, pid+"/task")
	if err != nil {
		return pid, 0
	}
	defer threads.Close()
	_ = threads.Each(make([]byte, 4096), func(tid []byte) {
		if ns == 0 {
			via = pid + "/task/" + string(tid)
			ns, _ = ReadNamespace(h.scanner.proc, via+"/ns/net")
		}
	})
	return via, ns
}
