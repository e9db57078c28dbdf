package kernel

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel/bpf"
	"closewait_exporter/kernel/host"
	"closewait_exporter/kernel/procfs"
	"closewait_exporter/kernel/sockdiag"
)

// The values of Options.Engine.
const (
	ScannerAuto    = "auto"    // the best that the kernel and the privileges allow
	ScannerEBPF    = "ebpf"    // BPF iterators: every namespace, every owner and defunct sockets in one pass
	ScannerNetlink = "netlink" // sock_diag dumps: cookies, ages, queues
	ScannerProcFS  = "procfs"  // /proc/PID/net/tcp: works everywhere, knows no age
)

// The values of Options.Namespaces.
const (
	AllNamespaces = "all" // every network namespace that a process lives in
	OwnNamespace  = "own" // only that of the exporter
)

// Scanners and NamespaceScopes are the closed sets, for flags.
var (
	Scanners        = []string{ScannerAuto, ScannerEBPF, ScannerNetlink, ScannerProcFS}
	NamespaceScopes = []string{AllNamespaces, OwnNamespace}
)

// DefaultRelook is for how long the holders of a socket are taken for granted.
const DefaultRelook = time.Minute

// Options of a Scanner. The zero value of a field stands for its default.
type Options struct {
	ProcFS     string        // mount point of the proc file system; /proc
	Scanner    string        // auto
	Namespaces string        // all
	Workers    int           // processes looked into at the same time; 1
	Relook     time.Duration // holders are looked up anew after that; DefaultRelook
}

func (o Options) withDefaults() Options {
	if o.ProcFS == "" {
		o.ProcFS = host.DefaultPath
	}
	if o.Scanner == "" {
		o.Scanner = ScannerAuto
	}
	if o.Namespaces == "" {
		o.Namespaces = AllNamespaces
	}
	if o.Relook == 0 {
		o.Relook = DefaultRelook
	}
	o.Workers = max(o.Workers, 1)
	return o
}

// Scanner takes Snapshots of the host. It is not safe for concurrent use, but for Faults.
type Scanner struct {
	options  Options
	engine   string
	fallback string
	host     *host.Host

	owners    owners
	defuncts  defuncts
	missed    missedSockets
	listeners listeners
	dumper    *sockdiag.Dumper // nil: netlink is not used
	iterator  *bpf.Iterator    // nil: BPF is not used
	passes    passes
	pass      *pass // of the current scan by BPF

	pids    []int                        // of the current scan
	reached []host.Namespace             // that it has read
	holders map[closewait.ProcessID]bool // of its sockets; whether they live

	described map[closewait.ProcessID]description // holders, in the last scan by BPF

	accepters map[*uint64][]closewait.ProcessID // holders of listeners, by the first inode of their list

	// Used again at each scan.
	sockets   []closewait.SocketSample
	processes []closewait.Process
	describer *procfs.Describer
	tables    *procfs.SocketTables
}

// NewScanner opens /proc and chooses the engine. It fails where /proc is unusable or the engine
// that was asked for does not work.
func NewScanner(o Options) (*Scanner, error) {
	s := &Scanner{options: o.withDefaults()}
	if !slices.Contains(Scanners, s.options.Scanner) {
		return nil, fmt.Errorf("unknown scanner %q: use one of %q", s.options.Scanner, Scanners)
	}
	if !slices.Contains(NamespaceScopes, s.options.Namespaces) {
		return nil, fmt.Errorf("unknown network namespaces %q: use one of %q", s.options.Namespaces, NamespaceScopes)
	}
	var err error
	if s.host, err = host.Open(s.options.ProcFS); err != nil {
		return nil, err
	}
	s.describer, s.tables = procfs.NewDescriber(s.host), procfs.NewSocketTables(s.host)
	if err := s.chooseEngine(); err != nil {
		s.host.Close()
		return nil, err
	}
	return s, nil
}

// chooseEngine takes the engine that was asked for, or the best that works.
func (s *Scanner) chooseEngine() error {
	var lacks []string
	for _, candidate := range []struct {
		engine string
		open   func() error
	}{
		{ScannerEBPF, s.openIterator}, {ScannerNetlink, sockdiag.Probe}, {ScannerProcFS, func() error { return nil }},
	} {
		if s.options.Scanner != ScannerAuto && s.options.Scanner != candidate.engine {
			continue
		}
		err := candidate.open()
		if err == nil {
			s.engine = candidate.engine
			break
		}
		if s.options.Scanner != ScannerAuto {
			return fmt.Errorf("%s scanner does not work here: %w: use --collector.scanner=auto", candidate.engine, err)
		}
		lacks = append(lacks, fmt.Sprintf("%s does not work here: %v", candidate.engine, err))
	}
	s.fallback = strings.Join(lacks, "; ")
	if s.engine == ScannerNetlink || s.engine == ScannerEBPF && sockdiag.Probe() == nil {
		s.dumper = sockdiag.NewDumper(host.TCPCloseWait, host.TCPListen)
	}
	return nil
}

// Scanner is the one in use.
func (s *Scanner) Engine() string { return s.engine }

// Faults counts what went wrong in all scans so far. It is safe for concurrent use.
func (s *Scanner) ScanErrors() map[closewait.ScanError]uint64 { return s.host.Errors.Snapshot() }

// Close releases what the Scanner holds.
func (s *Scanner) Close() {
	s.host.Close()
	if s.iterator != nil {
		s.iterator.Close()
	}
}

// Scan takes one look at the host. The slices of the Snapshot are valid until the next Scan. It
// fails when processes cannot be listed or no namespace can be read; anything less is counted.
func (s *Scanner) Scan(ctx context.Context) (*closewait.Snapshot, error) {
	look := s.scanTables
	if s.iterator != nil {
		look = s.scanPass
	}
	snapshot, err := look(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.describeHolders(); err != nil {
		return nil, fmt.Errorf("describe the holders of sockets: %w", err)
	}
	snapshot.Sockets, snapshot.Processes, snapshot.PIDs = s.sockets, s.processes, s.pids
	return snapshot, nil
}

// scanTables finds sockets in the tables of the kernel, and their holders in /proc.
func (s *Scanner) scanTables(ctx context.Context) (*closewait.Snapshot, error) {
	var err error
	if s.pids, err = s.host.ListPIDs(); err != nil {
		s.host.Errors.Add(host.StageProcesses, err)
		return nil, fmt.Errorf("list processes in %s: %w", s.options.ProcFS, err)
	}
	read, unread, err := s.readSockets(ctx, s.namespaces(s.pids))
	if err != nil {
		return nil, err
	}
	taken := time.Now() // after the last row, so that ages are never too large
	left := s.noticeDefunct(ctx, taken)
	if err := s.resolveOwners(ctx, taken); err != nil {
		return nil, fmt.Errorf("look for the holders of sockets: %w", err)
	}
	s.reportDefunct()
	snapshot := &closewait.Snapshot{Taken: taken, NetNS: read, UnreadableNetNS: unread, Denied: s.owners.unread}
	if s.engine == ScannerNetlink {
		snapshot.Confirmed = s.confirmMissed(left, isUnaccepted, s.reached, unread)
	}
	return snapshot, nil
}
