package kernel

import (
	"os"

	"closewait_exporter/closewait"

	"golang.org/x/sys/unix"
)

// Visibility reports what the Scanner can read. It does not change while the Scanner lives.
func (s *Scanner) Visibility() closewait.Visibility {
	v := closewait.Visibility{Scanner: s.engine, Fallback: s.fallback, Namespaces: s.options.Namespaces, Root: os.Geteuid() == 0}
	all := s.options.Namespaces == AllNamespaces
	missing := func(isMissing bool, capability, lost string) {
		if isMissing {
			v.Missing = append(v.Missing, closewait.MissingCapability{Capability: capability, Lost: lost})
		}
	}
	ebpf, ptrace, search := s.engine == ScannerEBPF, s.host.Capable(unix.CAP_SYS_PTRACE), s.host.Capable(unix.CAP_DAC_READ_SEARCH)
	missing(!ebpf && (!ptrace || !search),
		"CAP_DAC_READ_SEARCH and CAP_SYS_PTRACE", "holders of the sockets of other users' processes")
	missing(!ebpf && all && !ptrace,
		"CAP_SYS_PTRACE", "network namespaces in which only other users' processes live")
	missing(ebpf && !ptrace,
		"CAP_SYS_PTRACE", "which programs other users' processes run")
	// With the other engines a process whose descriptors cannot be listed is no holder, and needs no count.
	missing(ebpf && !s.host.FDSizes && !search,
		"CAP_DAC_READ_SEARCH", "numbers of open descriptors of other users' processes, which Linux before 6.2 tells only who may list them")
	missing(s.engine == ScannerNetlink && all && !s.host.Capable(unix.CAP_SYS_ADMIN),
		"CAP_SYS_ADMIN", "ages from before the start for sockets in other network namespaces, which are read from /proc/PID/net instead")
	missing(ebpf && all && !s.host.Capable(unix.CAP_SYS_ADMIN),
		"CAP_SYS_ADMIN", "in other network namespaces: ages from before the start for sockets that wait to be accepted, and sockets on their way from process to process")
	missing(!s.host.SeesAllProcesses,
		"the host's pid namespace", "holders outside this pid namespace, or hidden by the hidepid mount option of /proc")
	return v
}
