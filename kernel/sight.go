package kernel

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Sight is what a Scanner can see of the host, and what it cannot and why.
type Sight struct {
	Engine     string // in use
	Fallback   string // why not a better engine; empty where there is none
	Namespaces string // all or own
	Missing    []Lack
}

// Lack is something that the exporter has not been given, and what it cannot see without it.
type Lack struct {
	Capability string
	Lost       string
}

// Sight tells what the Scanner can see. It does not change while the Scanner lives.
func (s *Scanner) Sight() Sight {
	sight := Sight{Engine: s.engine, Fallback: s.fallback, Namespaces: s.options.Namespaces}
	all := s.options.Namespaces == AllNamespaces
	lack := func(missing bool, capability, lost string) {
		if missing {
			sight.Missing = append(sight.Missing, Lack{capability, lost})
		}
	}
	ebpf, ptrace, search := s.engine == EngineEBPF, s.capable(unix.CAP_SYS_PTRACE), s.capable(unix.CAP_DAC_READ_SEARCH)
	lack(!ebpf && (!ptrace || !search),
		"CAP_DAC_READ_SEARCH and CAP_SYS_PTRACE", "holders of the sockets of other users' processes")
	lack(!ebpf && all && !ptrace,
		"CAP_SYS_PTRACE", "network namespaces in which only other users' processes live")
	lack(ebpf && !ptrace,
		"CAP_SYS_PTRACE", "which programs other users' processes run")
	// With the other engines a process whose descriptors cannot be listed is no holder, and needs no count.
	lack(ebpf && !s.fdSizes && !search,
		"CAP_DAC_READ_SEARCH", "numbers of open descriptors of other users' processes, which Linux before 6.2 tells only who may list them")
	lack(s.engine == EngineNetlink && all && !s.capable(unix.CAP_SYS_ADMIN),
		"CAP_SYS_ADMIN", "ages from before the start for sockets in other network namespaces, which are read from /proc/PID/net instead")
	lack(ebpf && all && !s.capable(unix.CAP_SYS_ADMIN),
		"CAP_SYS_ADMIN", "in other network namespaces: ages from before the start for sockets that wait to be accepted, and sockets on their way from process to process")
	lack(!s.seesAllProcesses,
		"the host's pid namespace", "holders outside this pid namespace, or hidden by the hidepid mount option of /proc")
	return sight
}

func (s *Scanner) capable(capability uint) bool { return s.capabilities&(1<<capability) != 0 }

// effectiveCapabilities of this thread, as a bit mask (capget(2)).
func effectiveCapabilities() (uint64, error) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return 0, fmt.Errorf("read own capabilities: %w", err)
	}
	return uint64(data[0].Effective) | uint64(data[1].Effective)<<32, nil
}
