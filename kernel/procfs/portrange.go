package procfs

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel/host"
)

// PortRanges reads how many local ports of network namespaces connect(2) can choose from. It
// remembers the answers for a minute. It is not safe for concurrent use.
type PortRanges struct {
	host   *host.Host
	usable map[closewait.NetNS]int // -1: could not be read
	begun  time.Time
}

const portRangesRefresh = time.Minute

// NewPortRanges returns a reader of the port ranges of a host.
func NewPortRanges(h *host.Host) *PortRanges { return &PortRanges{host: h} }

// Usable returns the number of usable ports of each of the namespaces, as far as they can be
// read: the kernel shows them only to threads in the namespace.
func (p *PortRanges) Usable(namespaces []host.Namespace) map[closewait.NetNS]int {
	if time.Since(p.begun) >= portRangesRefresh {
		p.usable, p.begun = map[closewait.NetNS]int{}, time.Now()
	}
	var others []host.Namespace
	for _, ns := range namespaces {
		switch _, known := p.usable[ns.ID]; {
		case known:
		case ns.Own:
			p.read(ns, nil)
		case p.host.Capable(unix.CAP_SYS_ADMIN):
			others = append(others, ns)
		}
	}
	p.host.InNamespaces(others, p.read)
	usable := make(map[closewait.NetNS]int, len(namespaces))
	for _, ns := range namespaces {
		if n, known := p.usable[ns.ID]; known && n >= 0 {
			usable[ns.ID] = n
		}
	}
	return usable
}

// read reads the ports of the namespace of the current thread, unless err says that it could not be
// entered.
func (p *PortRanges) read(ns host.Namespace, err error) {
	p.usable[ns.ID] = -1
	if err == nil {
		p.usable[ns.ID], err = p.readHere()
	}
	p.host.Errors.Add(host.StageNamespace, err)
}

func (p *PortRanges) readHere() (usable int, err error) {
	fs, err := procfs.NewFS(p.host.Path)
	if err != nil {
		return -1, err
	}
	within, err := fs.SysctlInts("net.ipv4.ip_local_port_range")
	if err != nil {
		return -1, err
	}
	reserved, err := fs.SysctlStrings("net.ipv4.ip_local_reserved_ports")
	if err != nil {
		return -1, err
	}
	return usablePorts(within, strings.Join(reserved, ","))
}

// usablePorts returns the number of ports in ip_local_port_range, as in 32768 and 60999, that are
// not in ip_local_reserved_ports, as in "8080,9000-9010". The kernel writes the latter ascending
// and without overlap (proc_do_large_bitmap in kernel/sysctl.c).
func usablePorts(within []int, reserved string) (n int, err error) {
	const maxPort = 65535
	if len(within) != 2 || within[0] < 0 || within[0] > within[1] || within[1] > maxPort {
		return -1, fmt.Errorf("%w port range %v", host.ErrMalformed, within)
	}
	low, high := within[0], within[1]
	n = high - low + 1
	for one := range strings.SplitSeq(reserved, ",") {
		if one == "" {
			continue
		}
		from, to, isRange := strings.Cut(one, "-")
		if !isRange {
			to = from
		}
		first, err := strconv.ParseUint(from, 10, 16)
		if err != nil {
			return -1, fmt.Errorf("%w port %q", host.ErrMalformed, from)
		}
		last, err := strconv.ParseUint(to, 10, 16)
		if err != nil || last < first {
			return -1, fmt.Errorf("%w ports %q", host.ErrMalformed, one)
		}
		n -= max(min(int(last), high)-max(int(first), low)+1, 0)
	}
	return max(n, 0), nil
}
