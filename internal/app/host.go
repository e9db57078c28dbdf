package app

import (
	"context"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel"
)

// host gives the commands access to this host. Only this file and executor.go use the scanner and
// the actions of package kernel.
type host struct {
	scanner  *kernel.Scanner
	commands *kernel.CommandLines
	actions  kernel.ExecutorOptions
}

func openHost(o *options) (*host, error) {
	scanner, err := kernel.NewScanner(o.kernel)
	if err != nil {
		return nil, err
	}
	return &host{
		scanner:  scanner,
		commands: kernel.NewCommandLines(scanner),
		actions:  kernel.ExecutorOptions{Workers: o.kernel.Workers, Namespaces: o.kernel.Namespaces},
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
