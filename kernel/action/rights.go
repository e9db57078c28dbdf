package action

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"closewait_exporter/kernel/fdscan"
	"closewait_exporter/kernel/host"
	"closewait_exporter/kernel/sockdiag"
)

// Rights has, for each action, the reason why it is not possible on the processes of a user, or nil
// if it is possible.
type Rights struct {
	Signal      error // ProcessHandle.Signal
	RaiseNoFile error // ProcessHandle.RaiseNoFile
	Destroy     error // ProcessHandle.Destroy
	Shutdown    error // ProcessHandle.Shutdown
	ThreadDump  error // ProcessHandle.ThreadDump
	Holders     error // Executor.Holders and ProcessHandle.Verify, which every action needs
}

// Rights checks which actions are possible on the processes of a user. It sends no signal and
// changes no limit or socket. Security modules can deny more than it can detect.
func (e *Executor) Rights(uid uint32) Rights {
	own := int(uid) == os.Geteuid()
	// The kernel permits reading another process of the same user only if that has no capability
	// that the reader lacks. Processes of root usually have all capabilities.
	readable := own && uid != 0
	var r Rights
	if !own {
		r.Signal = e.requireCapabilities("signals to other users' processes", unix.CAP_KILL)
		r.RaiseNoFile = e.requireCapabilities("limits of other users' processes", unix.CAP_SYS_RESOURCE)
	}
	if !readable {
		r.Holders = e.requireCapabilities("descriptors of other processes", unix.CAP_DAC_READ_SEARCH, unix.CAP_SYS_PTRACE)
		r.ThreadDump = e.requireCapabilities("memory maps of other processes", unix.CAP_SYS_PTRACE)
	}
	r.ThreadDump = errors.Join(r.Signal, r.ThreadDump)
	r.Shutdown = errors.Join(r.Holders, e.checkGetfd())
	r.Destroy = errors.Join(r.Holders, e.checkDestroy())
	return r
}

var capabilityNames = map[uint]string{
	unix.CAP_KILL:            "CAP_KILL",
	unix.CAP_SYS_RESOURCE:    "CAP_SYS_RESOURCE",
	unix.CAP_SYS_PTRACE:      "CAP_SYS_PTRACE",
	unix.CAP_DAC_READ_SEARCH: "CAP_DAC_READ_SEARCH",
	unix.CAP_NET_ADMIN:       "CAP_NET_ADMIN",
	unix.CAP_SYS_ADMIN:       "CAP_SYS_ADMIN",
}

func (e *Executor) requireCapabilities(what string, capabilities ...uint) error {
	var missing []string
	for _, c := range capabilities {
		if !e.host.Capable(c) {
			missing = append(missing, capabilityNames[c])
		}
	}
	if missing == nil {
		return nil
	}
	return fmt.Errorf("%s need %s: %w", what, strings.Join(missing, " and "), os.ErrPermission)
}

// checkDestroy asks the kernel to destroy a socket that cannot exist: between addresses reserved
// for documentation (RFC 5737), on port 0, with a cookie that no socket gets. ENOENT means that the
// kernel has searched for it, so the request itself is permitted.
func (e *Executor) checkDestroy() error {
	if err := e.requireCapabilities("SOCK_DESTROY requests", unix.CAP_NET_ADMIN); err != nil {
		return err
	}
	if e.options.Namespaces != host.OwnNamespace {
		err := e.requireCapabilities("sockets in other network namespaces (none are seen with --collector.network-namespaces=own)", unix.CAP_SYS_ADMIN)
		if err != nil {
			return err
		}
	}
	conn, err := sockdiag.NewConn()
	if err != nil {
		return err
	}
	defer conn.Close()
	nowhere := netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, 1}), 0)
	err = conn.Destroy(&sockdiag.Row{Family: unix.AF_INET, Local: nowhere, Remote: nowhere, Cookie: 1 << 63})
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	return fmt.Errorf("SOCK_DESTROY does not work: %w", err)
}

// checkGetfd checks that pidfd_getfd works, with a descriptor of this process, and that Yama does
// not deny it for other processes.
func (e *Executor) checkGetfd() error {
	scope, err := e.host.Proc.Read("sys/kernel/yama/ptrace_scope", nil)
	if err == nil && strings.TrimSpace(string(scope)) == "3" {
		return fmt.Errorf("kernel.yama.ptrace_scope=3 forbids pidfd_getfd until the next boot: %w", os.ErrPermission)
	}
	self, err := unix.PidfdOpen(os.Getpid(), 0)
	if err != nil {
		return fmt.Errorf("use a pidfd: %w", pidfdError(err))
	}
	defer unix.Close(self)
	fd, err := unix.PidfdGetfd(self, self, 0)
	if err != nil {
		return fdscan.GetfdError(err)
	}
	unix.Close(fd)
	return nil
}
