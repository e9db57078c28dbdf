package kernel

import (
	"fmt"
	"strings"
	"time"

	"closewait_exporter/kernel/host"
	"closewait_exporter/kernel/procfs"
)

// Hands act on processes and sockets of the host that a Scanner sees. They are safe for concurrent
// use, and keep nothing open: what they act on is kept in a Grip. The files of the hands, in the
// order in which a process goes through them: pidfd.go takes hold of it, state.go and freezer.go
// tell whether it runs at all, holders.go and evidence.go look anew before each step; nofile.go,
// guard.go, destroy.go, shutdown.go, threaddump.go and signal.go are the steps, and wait.go sees
// the end of it.
type Hands struct {
	host     *host.Host
	options  Options // of the Scanner
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
		host:     s.host,
		options:  s.options,
		freezers: findFreezers(),
		short:    &patience{most: mostHanging, limit: time.Second},
		long:     &patience{most: mostHanging, limit: 30 * time.Second},
	}, nil
}

// checkPIDs tells why the pids of the Scanner mean nothing to this process: NSpid lists the pid of a
// process in the pid namespace of the proc file system and in each below it that it lives in, so a
// second one says that this process is in a namespace of its own.
func (s *Scanner) checkPIDs() error {
	status, err := s.host.Proc.Read("self/status", nil)
	if err != nil && !host.Vanished(err) {
		return fmt.Errorf("find own pid: %w", err)
	}
	if !s.host.PIDsAreOurs || len(strings.Fields(procfs.StatusField(status, "NSpid"))) > 1 {
		return fmt.Errorf("%s belongs to another pid namespace, so its pids mean other processes here: run in that of the host (docker run --pid=host, hostPID: true)", s.host.Path)
	}
	return nil
}
