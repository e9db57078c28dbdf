package main

import (
	"bufio"
	"context"
	"errors"
	"os"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/collector"
	"closewait_exporter/kernel"
	listing "closewait_exporter/list"
)

// The values of --output.
const (
	tableOutput = "table"
	jsonOutput  = "json"
)

var outputs = []string{tableOutput, jsonOutput}

// list looks at the host and writes what it sees to standard output, and what it cannot see to
// standard error.
func list(ctx context.Context, f *flags) error {
	scanner, err := kernel.NewScanner(f.kernel)
	if err != nil {
		return err
	}
	observer := closewait.NewObserver(ctx, scanner.Scan, closewait.NewTracker(nil), time.Now)
	view, err := listing.Look(ctx, observer.Observe, f.minAge)
	if errors.Is(err, context.Canceled) {
		return errors.New("interrupted before the look at this host was done")
	}
	if err != nil {
		return err
	}
	report := &listing.Report{
		View:   view,
		Listed: collector.Listed(view, f.minAge),
		MinAge: f.minAge,
		Sight:  sightOf(scanner),
	}
	out := bufio.NewWriter(os.Stdout)
	switch {
	case f.list.output == jsonOutput:
		err = report.JSON(out, f.list.sockets)
	case f.list.sockets:
		err = report.Sockets(out)
	default:
		err = report.Processes(out, listing.Width(os.Stdout))
	}
	if err != nil {
		return err
	}
	if err := out.Flush(); err != nil {
		return err
	}
	return report.Notes(os.Stderr)
}

func sightOf(scanner *kernel.Scanner) listing.Sight {
	s := scanner.Sight()
	sight := listing.Sight{Engine: s.Engine, Fallback: s.Fallback, Namespaces: s.Namespaces, Root: os.Geteuid() == 0}
	for _, lack := range s.Missing {
		sight.Missing = append(sight.Missing, listing.Lack(lack))
	}
	return sight
}
