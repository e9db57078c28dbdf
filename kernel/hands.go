package kernel

import (
	"fmt"
	"strings"
	"time"

	"closewait_exporter/kernel/host"
	"closewait_exporter/kernel/procfs"
)

// ExecutorOptions say what the scans cover for which an Executor acts. The zero value of a field
// stands for its default.
type ExecutorOptions struct {
	Workers    int    // number of processes whose descriptors are read concurrently; 1
	Namespaces string // host.AllNamespaces or host.OwnNamespace; all
}

// Hands acts on the processes and sockets of a host. It is safe for concurrent use and keeps
// nothing open; a Grip does.
type Hands struct {
	host     *host.Host
	options  ExecutorOptions
	freezers []freezer
	short    *patience // for calls that take microseconds, unless the kernel blocks them
	long     *patience // for calls that may read all sockets of a namespace
}

// mostHanging is the maximum number of calls that may be blocked in the kernel at the same time,
// for all processes together.
const mostHanging = 4

// NewHands returns an Executor. The Host must stay open until the Executor has done its last work.
// It fails if the pids in the proc file system of the Host are not the pids that this process
// would signal, and if the kernel has no pidfds: without them, a signal could end a process that
// has got the pid of another one.
func NewHands(h *host.Host, o ExecutorOptions) (*Hands, error) {
	if err := checkPIDs(h); err != nil {
		return nil, err
	}
	if err := probePidfd(); err != nil {
		return nil, err
	}
	o.Workers = max(o.Workers, 1)
	return &Hands{
		host:     h,
		options:  o,
		freezers: findFreezers(),
		short:    &patience{most: mostHanging, limit: time.Second},
		long:     &patience{most: mostHanging, limit: 30 * time.Second},
	}, nil
}

// checkPIDs returns an error if the pids of a Host have no meaning for this process. NSpid lists
// the pid of a process in the pid namespace of the proc file system, and in each namespace below
// it that the process lives in. So a second pid means that this process lives in another namespace
// than the one that the proc file system shows.
func checkPIDs(h *host.Host) error {
	status, err := h.Proc.Read("self/status", nil)
	if err != nil && !host.Vanished(err) {
		return fmt.Errorf("find own pid: %w", err)
	}
	if !h.PIDsAreOurs || len(strings.Fields(procfs.StatusField(status, "NSpid"))) > 1 {
		return fmt.Errorf("%s belongs to another pid namespace, so its pids mean other processes here: run in the pid namespace of the host (docker run --pid=host, hostPID: true)", h.Path)
	}
	return nil
}
