package scan

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel/host"
)

// Scanner takes Snapshots of a host. It is not safe for concurrent use.
type Scanner interface {
	// Scan scans the host once. The slices of the Snapshot are valid until the next Scan. It
	// fails if processes cannot be listed or no namespace can be read; lesser errors are counted
	// in the Host.
	Scan(ctx context.Context) (*closewait.Snapshot, error)
	// Close releases the resources of the Scanner. It does not close the Host.
	Close()
}

// candidate is a scanner that Open can choose.
type candidate struct {
	name    string
	open    func(*host.Host, Options) (Scanner, error)
	missing func(*host.Host, Options) []closewait.MissingCapability // what this process cannot read with it
}

// candidates are all scanners, the best first.
var candidates = []candidate{
	{ScannerEBPF, openEBPF, ebpfMissing},
	{ScannerNetlink, openNetlink, netlinkMissing},
	{ScannerProcFS, openProcFS, tablesMissing},
}

// Open opens the scanner that the options name, or the best one that works on this host. The Host
// must stay open until the Scanner is closed. The Visibility, which does not change, says what the
// Scanner can read.
func Open(h *host.Host, o Options) (Scanner, closewait.Visibility, error) {
	o = o.withDefaults()
	if !slices.Contains(Scanners, o.Scanner) {
		return nil, closewait.Visibility{}, fmt.Errorf("unknown scanner %q: use one of %q", o.Scanner, Scanners)
	}
	if !slices.Contains(NamespaceScopes, o.Namespaces) {
		return nil, closewait.Visibility{}, fmt.Errorf("unknown network namespaces %q: use one of %q", o.Namespaces, NamespaceScopes)
	}
	var failures []string
	for _, c := range candidates {
		if o.Scanner != ScannerAuto && o.Scanner != c.name {
			continue
		}
		s, err := c.open(h, o)
		if err == nil {
			return s, c.visibility(h, o, strings.Join(failures, "; ")), nil
		}
		failures = append(failures, fmt.Sprintf("%s does not work here: %v", c.name, err))
		if o.Scanner != ScannerAuto {
			return nil, closewait.Visibility{}, fmt.Errorf("%s scanner does not work here: %w: use --collector.scanner=auto", c.name, err)
		}
	}
	return nil, closewait.Visibility{}, fmt.Errorf("no scanner works here: %s", strings.Join(failures, "; "))
}
