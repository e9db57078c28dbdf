package app

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/rules"
	"closewait_exporter/report"
)

// list scans the host and writes the result to stdout, in lines of that many columns (0: no limit),
// and what could not be read to stderr. It
// does not close the host: a scan that was interrupted may still use it, and the process ends
// anyway.
func list(ctx context.Context, o *options, columns int, stdout, stderr io.Writer) error {
	h, err := openHost(o)
	if err != nil {
		return err
	}
	observer := closewait.NewObserver(ctx, h.scan, closewait.NewTracker(nil), time.Now)
	view, err := report.Observe(ctx, observer.Observe, o.minAge)
	if errors.Is(err, context.Canceled) {
		return errors.New("interrupted before the scan was complete")
	}
	if err != nil {
		return err
	}
	r := newReport(view, o.minAge, h.visibility())
	if o.rulesFile != "" {
		if r.Rules, err = matchingRules(ctx, o.rulesFile, h); err != nil {
			return err
		}
	}
	if err := writeReport(r, o, columns, stdout); err != nil {
		return err
	}
	return r.Notes(stderr)
}

func newReport(view *closewait.View, minAge time.Duration, v closewait.Visibility) *report.Report {
	return &report.Report{View: view, Listed: closewait.Listed(view, minAge), MinAge: minAge, Visibility: v}
}

func writeReport(r *report.Report, o *options, columns int, stdout io.Writer) (err error) {
	out := bufio.NewWriter(stdout)
	switch {
	case o.list.output == jsonOutput:
		err = r.JSON(out, o.list.sockets)
	case o.list.sockets:
		err = r.Sockets(out)
	default:
		err = r.Processes(out, columns)
	}
	if err != nil {
		return err
	}
	return out.Flush()
}

// width is the width of a terminal in cells; 0 means no limit.
func width(stdout io.Writer) int {
	if file, ok := stdout.(*os.File); ok {
		return report.Width(file)
	}
	return 0
}

// matchingRules names the rules of a file that match a process.
func matchingRules(ctx context.Context, file string, h *host) (report.Rules, error) {
	config, err := rules.Load(file)
	if err != nil {
		return nil, err
	}
	return func(p *closewait.Process) (names []string) {
		for i := range config.Rules {
			command := func() (string, error) { return h.commandLine(ctx, p) }
			if matches, _ := config.Rules[i].Match.Matches(p, command); matches {
				names = append(names, config.Rules[i].Name)
			}
		}
		return names
	}, nil
}
