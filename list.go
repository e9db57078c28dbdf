package main

import (
	"bufio"
	"context"
	"errors"
	"os"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel"
	listing "closewait_exporter/list"
	"closewait_exporter/reaper/rules"
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
	report := newReport(view, f.minAge, scanner.Visibility())
	if f.rulesFile != "" {
		if report.Rules, err = matchingRules(ctx, f.rulesFile, scanner); err != nil {
			return err
		}
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

func newReport(view *closewait.View, minAge time.Duration, v closewait.Visibility) *listing.Report {
	return &listing.Report{View: view, Listed: closewait.Listed(view, minAge), MinAge: minAge, Visibility: v}
}

// matchingRules tells which rules of a file match a process.
func matchingRules(ctx context.Context, file string, scanner *kernel.Scanner) (listing.Rules, error) {
	config, err := rules.Load(file)
	if err != nil {
		return nil, err
	}
	lines := kernel.NewCommandLines(scanner)
	return func(p *closewait.Process) (names []string) {
		for i := range config.Rules {
			command := func() (string, error) { return lines.Of(ctx, p) }
			if matches, _ := config.Rules[i].Match.Matches(p, command); matches {
				names = append(names, config.Rules[i].Name)
			}
		}
		return names
	}, nil
}
