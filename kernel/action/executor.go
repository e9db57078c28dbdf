package action

import (
	"fmt"
	"strings"
	"time"

	"closewait_exporter/kernel/host"
	"closewait_exporter/kernel/procfs"
)

// Options of an Executor. The zero value of a field stands for its default.
type Options struct {
	Workers    int    // maximum number of processes that are read concurrently; 1
	Namespaces string // whose sockets are acted on: host.AllNamespaces or host.OwnNamespace; all
}

// Executor acts on the processes and sockets of a host. It is safe for concurrent use. It keeps
// nothing open; only its ProcessHandles and its HostLock do.
type Executor struct {
	host       *host.Host
	options    Options
	freezers   []freezer
	shortCalls *host.BoundedCalls // calls that take microseconds, unless the kernel blocks them
	longCalls  *host.BoundedCalls // calls that may read all sockets of a namespace
}

// maxBlockedCalls is the number of abandoned calls, short or long, of all processes together, at
// which further short or long calls are refused.
const maxBlockedCalls = 4

// New returns an Executor. The Host must stay open for as long as the Executor and its handles are
// used. New fails if the pids of the proc file system mean other processes to this process, or if
// the kernel has no pidfds: a signal to a pid could hit another process that has got the pid since.
func New(h *host.Host, o Options) (*Executor, error) {
	if err := checkPIDs(h); err != nil {
		return nil, err
	}
	if err := probePidfd(); err != nil {
		return nil, err
	}
	o.Workers = max(o.Workers, 1)
	return &Executor{
		host:       h,
		options:    o,
		freezers:   findFreezers(),
		shortCalls: &host.BoundedCalls{MaxBlocked: maxBlockedCalls, Timeout: time.Second},
		longCalls:  &host.BoundedCalls{MaxBlocked: maxBlockedCalls, Timeout: 30 * time.Second},
	}, nil
}

// checkPIDs fails if the pids of a Host mean other processes to this process. NSpid lists the pid
// of a process in the pid namespace of the proc file system and in each namespace below that, down
// to its own. So a second pid means that this process lives in another pid namespace.
func checkPIDs(h *host.Host) error {
	status, err := h.Proc.Read("self/status", nil)
	if err != nil && !host.Vanished(err) {
		return fmt.Errorf("find own pid: %w", err)
	}
	if !h.PIDsAreOurs || hasNestedPID(status) {
		return fmt.Errorf("%s belongs to another pid namespace, so its pids mean other processes here: run in the pid namespace of the host (docker run --pid=host, hostPID: true)", h.Path)
	}
	return nil
}

// hasNestedPID reports whether a process lives in a pid namespace below the one of the proc file
// system, from its status file.
func hasNestedPID(status []byte) bool {
	return len(strings.Fields(procfs.StatusField(status, "NSpid"))) > 1
}
