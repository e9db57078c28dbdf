package kernel

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"closewait_exporter/kernel/host"
	"closewait_exporter/kernel/sockdiag"
)

// Rights tells for each deed why it cannot be done to the processes of a user; nil where it can.
type Rights struct {
	Signal      error // Grip.Signal
	RaiseNoFile error // Grip.RaiseNoFile
	Destroy     error // Grip.Destroy
	Shutdown    error // Grip.Shutdown
	ThreadDump  error // Grip.ThreadDump
	Holders     error // Hands.Holders and Grip.Verify, without which nothing is to be done
}

// Rights finds out what may be done to the processes of a user. Nothing is sent, changed or
// destroyed to find out. Security modules can forbid more than can be known beforehand.
func (h *Hands) Rights(uid uint32) Rights {
	own := int(uid) == os.Geteuid()
	// The kernel lets a process look into another one of the same user that has no capability more
	// than itself, and those of root have them all, as a rule.
	equal := own && uid != 0
	var r Rights
	if !own {
		r.Signal = h.lacks("signals to other users' processes", unix.CAP_KILL)
		r.RaiseNoFile = h.lacks("limits of other users' processes", unix.CAP_SYS_RESOURCE)
	}
	if !equal {
		r.Holders = h.lacks("descriptors of other processes", unix.CAP_DAC_READ_SEARCH, unix.CAP_SYS_PTRACE)
		r.ThreadDump = h.lacks("memory maps of other processes", unix.CAP_SYS_PTRACE)
	}
	r.ThreadDump = errors.Join(r.Signal, r.ThreadDump)
	r.Shutdown = errors.Join(r.Holders, h.lacksGetfd())
	r.Destroy = errors.Join(r.Holders, h.lacksDestroy())
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

func (h *Hands) lacks(what string, capabilities ...uint) error {
	var missing []string
	for _, c := range capabilities {
		if !h.host.Capable(c) {
			missing = append(missing, capabilityNames[c])
		}
	}
	if missing == nil {
		return nil
	}
	return fmt.Errorf("%s need %s: %w", what, strings.Join(missing, " and "), os.ErrPermission)
}

// lacksDestroy asks the kernel to destroy a socket that there cannot be: between two addresses for
// documentation (RFC 5737), port 0, with a cookie that no socket will have. ENOENT says that it
// has looked.
func (h *Hands) lacksDestroy() error {
	if err := h.lacks("SOCK_DESTROY requests", unix.CAP_NET_ADMIN); err != nil {
		return err
	}
	if h.options.Namespaces != host.OwnNamespace {
		err := h.lacks("sockets in other network namespaces (none are seen with --collector.network-namespaces=own)", unix.CAP_SYS_ADMIN)
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

// lacksGetfd duplicates a descriptor of this process, for which no right is needed, and reads what
// Yama says of those of others.
func (h *Hands) lacksGetfd() error {
	scope, err := h.host.Proc.Read("sys/kernel/yama/ptrace_scope", nil)
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
		return getfdError(err)
	}
	unix.Close(fd)
	return nil
}
