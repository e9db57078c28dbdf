package host

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// DefaultPath is where the proc file system is mounted on every ordinary host.
const DefaultPath = "/proc"

// Host is an open proc file system, with facts about the host and about what this process can see
// and do there. The fields do not change after Open. It is safe for concurrent use.
type Host struct {
	Path     string    // mount point of the proc file system
	Proc     Directory // Path, open
	BootTime time.Time // wall clock
	OwnNetNS Namespace // network namespace of this process

	Capabilities     uint64 // effective capabilities of this process: bit N is capability N
	FDSizes          bool   // the size of /proc/PID/fd is the number of descriptors (Linux 6.2)
	PIDsAreOurs      bool   // Proc shows the pid namespace of this process
	SeesAllProcesses bool   // Proc shows the pid namespace of the host, and hidepid hides no process

	Errors *ScanErrors // of all scans of this host

	users userNames
}

// Open opens the proc file system that is mounted at a path. Only its directories of processes are
// needed, so that it may be mounted with subset=pid (ProcSubset=pid of a systemd unit).
func Open(path string) (*Host, error) {
	proc, err := OpenDirectory(unix.AT_FDCWD, path)
	if err != nil {
		return nil, fmt.Errorf("open proc file system: %w: mount one, or name another with --path.procfs", err)
	}
	h := &Host{Path: path, Proc: proc, BootTime: bootTime(), Errors: NewScanErrors()}
	if err := h.readFacts(); err != nil {
		h.Close()
		return nil, err
	}
	return h, nil
}

// readFacts fills in what this process can see and do. It fails without a process.
func (h *Host) readFacts() (err error) {
	if _, err := h.ListPIDs(); err != nil {
		return fmt.Errorf("%s is no proc file system: %w: mount one, or name another with --path.procfs", h.Path, err)
	}
	if h.OwnNetNS, err = ownNamespace(); err != nil {
		return err
	}
	if h.Capabilities, err = effectiveCapabilities(); err != nil {
		return err
	}
	if self, err := h.Proc.Readlink("self", make([]byte, 32)); err == nil {
		h.PIDsAreOurs = string(self) == fmt.Sprint(os.Getpid())
	}
	if fds, err := h.Proc.Stat("self/fd"); err == nil {
		h.FDSizes = fds.Size > 0
	}
	h.SeesAllProcesses = h.seesKernelThreads()
	return nil
}

// Close closes the proc file system. No method may be called afterwards.
func (h *Host) Close() { h.Proc.Close() }

// seesKernelThreads reports whether /proc shows kthreadd, which lives only in the pid namespace of
// the host, and which hidepid hides like all processes of root.
func (h *Host) seesKernelThreads() bool {
	const kthreadd, kernelThread = 2, 0x00200000 // PF_KTHREAD, include/linux/sched.h
	dir, err := h.Proc.OpenPID(kthreadd)
	if err != nil {
		return false
	}
	defer dir.Close()
	st, _, err := dir.ReadStat(nil)
	return err == nil && st.Flags&kernelThread != 0
}

// Capable reports whether this process has a capability (unix.CAP_*).
func (h *Host) Capable(capability uint) bool { return h.Capabilities&(1<<capability) != 0 }

// effectiveCapabilities returns the effective capabilities of this thread as a bit mask
// (capget(2)).
func effectiveCapabilities() (uint64, error) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return 0, fmt.Errorf("read own capabilities: %w", err)
	}
	return uint64(data[0].Effective) | uint64(data[1].Effective)<<32, nil
}
