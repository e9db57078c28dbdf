package scan

import (
	"time"

	"closewait_exporter/kernel/host"
)

// The values of Options.Scanner.
const (
	ScannerAuto    = "auto"    // the best that the kernel and the privileges allow
	ScannerEBPF    = "ebpf"    // BPF iterators: every namespace, every holder and every closed socket at once
	ScannerNetlink = "netlink" // sock_diag dumps: cookies, ages, queues
	ScannerProcFS  = "procfs"  // /proc/PID/net/tcp: works everywhere, knows no age
)

// The values of Options.Namespaces.
const (
	AllNamespaces = host.AllNamespaces
	OwnNamespace  = host.OwnNamespace
)

// Scanners and NamespaceScopes list all values of the two options, for flags.
var (
	Scanners        = []string{ScannerAuto, ScannerEBPF, ScannerNetlink, ScannerProcFS}
	NamespaceScopes = []string{AllNamespaces, OwnNamespace}
)

// DefaultRefresh is how long the known holders of a socket are used before they are searched
// again.
const DefaultRefresh = time.Minute

// Options of a Scanner. The zero value of a field stands for its default.
type Options struct {
	Scanner    string        // auto
	Namespaces string        // all
	Workers    int           // number of processes whose descriptors are read concurrently; 1
	Refresh    time.Duration // holders are searched again after this time; DefaultRefresh
}

func (o Options) withDefaults() Options {
	if o.Scanner == "" {
		o.Scanner = ScannerAuto
	}
	if o.Namespaces == "" {
		o.Namespaces = AllNamespaces
	}
	if o.Refresh == 0 {
		o.Refresh = DefaultRefresh
	}
	o.Workers = max(o.Workers, 1)
	return o
}

func (o Options) allNamespaces() bool { return o.Namespaces == AllNamespaces }
