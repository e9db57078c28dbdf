package scan

import (
	"os"

	"golang.org/x/sys/unix"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel/host"
)

// visibility describes what a scanner can read here.
func (c candidate) visibility(h *host.Host, o Options, fallback string) closewait.Visibility {
	missing := hiddenIf(c.missing(h, o), !h.SeesAllProcesses,
		"the host's pid namespace", "holders outside this pid namespace, or hidden by the hidepid mount option of /proc")
	return closewait.Visibility{
		Scanner: c.name, Fallback: fallback, Namespaces: o.Namespaces, Root: os.Geteuid() == 0, Missing: missing,
	}
}

// missingIf appends a capability, and what is lost without it, if the condition holds.
func missingIf(list []closewait.MissingCapability, condition bool, capability, lost string) []closewait.MissingCapability {
	if !condition {
		return list
	}
	return append(list, closewait.MissingCapability{Capability: capability, Lost: lost})
}

// hiddenIf is missingIf for a capability without which sockets or their holders stay hidden.
func hiddenIf(list []closewait.MissingCapability, condition bool, capability, lost string) []closewait.MissingCapability {
	list = missingIf(list, condition, capability, lost)
	if condition {
		list[len(list)-1].HidesSockets = true
	}
	return list
}

// tablesMissing returns the missing capabilities of the scanners that search /proc for holders and
// namespaces. A process whose descriptors cannot be listed is never found as a holder, so the
// number of its descriptors is not mentioned.
func tablesMissing(h *host.Host, o Options) []closewait.MissingCapability {
	trace := h.Capable(unix.CAP_SYS_PTRACE)
	list := hiddenIf(nil, !trace || !h.Capable(unix.CAP_DAC_READ_SEARCH),
		"CAP_DAC_READ_SEARCH and CAP_SYS_PTRACE", "holders of the sockets of other users' processes")
	return hiddenIf(list, o.allNamespaces() && !trace,
		"CAP_SYS_PTRACE", "network namespaces in which only other users' processes live")
}

// netlinkMissing returns the missing capabilities of the netlink scanner.
func netlinkMissing(h *host.Host, o Options) []closewait.MissingCapability {
	return missingIf(tablesMissing(h, o), o.allNamespaces() && !h.Capable(unix.CAP_SYS_ADMIN),
		"CAP_SYS_ADMIN", "ages from before the start for sockets in other network namespaces, which are read from /proc/PID/net instead")
}

// ebpfMissing returns the missing capabilities of the ebpf scanner.
func ebpfMissing(h *host.Host, o Options) []closewait.MissingCapability {
	list := missingIf(nil, !h.Capable(unix.CAP_SYS_PTRACE),
		"CAP_SYS_PTRACE", "which programs other users' processes run")
	list = missingIf(list, !h.FDSizes && !h.Capable(unix.CAP_DAC_READ_SEARCH),
		"CAP_DAC_READ_SEARCH", "numbers of open descriptors of other users' processes, which Linux before 6.2 shows only to those who may list them")
	return missingIf(list, o.allNamespaces() && !h.Capable(unix.CAP_SYS_ADMIN),
		"CAP_SYS_ADMIN", "in other network namespaces: ages from before the start for sockets that wait to be accepted, and sockets on their way from process to process")
}
