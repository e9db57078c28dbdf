package app

import (
	"context"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel"
	"closewait_exporter/kernel/action"
)

// host gives the commands access to this host. Only this file and executor.go use the scanner of
// package kernel and the executor of package kernel/action.
type host struct {
	scanner  *kernel.Scanner
	commands *kernel.CommandLines
	actions  action.Options
}

func openHost(o *options) (*host, error) {
	scanner, err := kernel.NewScanner(o.kernel)
	if err != nil {
		return nil, err
	}
	return &host{
		scanner:  scanner,
		commands: kernel.NewCommandLines(scanner),
		actions:  action.Options{Workers: o.kernel.Workers, Namespaces: o.kernel.Namespaces},
	}, nil
}

func (h *host) scan(ctx context.Context) (*closewait.Snapshot, error) { return h.scanner.Scan(ctx) }

func (h *host) scannerName() string { return h.scanner.Engine() }

func (h *host) scanErrors() map[closewait.ScanError]uint64 { return h.scanner.ScanErrors() }

func (h *host) visibility() closewait.Visibility { return h.scanner.Visibility() }

// commandLine reads the command line of a process in bounded time.
func (h *host) commandLine(ctx context.Context, p *closewait.Process) (string, error) {
	return h.commands.Of(ctx, p)
}

func (h *host) close() { h.scanner.Close() }
