package app

import (
	"bufio"
	"context"
	"errors"
	"io"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/history"
	"closewait_exporter/reaper/rules"
	"closewait_exporter/report"
)

// errLeaking is the result of list --fail-if-leaking on a host with a leak.
var errLeaking = errors.New("a process is leaking")

// list scans the host and writes the result to out, and what could not be read to stderr. It does
// not close the host: a scan that was interrupted may still use it, and the process ends anyway.
func list(ctx context.Context, o *options, out *output, stderr io.Writer) error {
	h, err := openHost(o)
	if err != nil {
		return err
	}
	observer := newObserver(ctx, h, nil)
	l := &lister{options: o, observe: observer.Observe, visibility: h.visibility(), out: out, stderr: stderr}
	if o.rulesFile != "" {
		if l.rules, err = matchingRules(ctx, o.rulesFile, h); err != nil {
			return err
		}
	}
	if o.list.watch > 0 {
		l.history, l.verdicts = observer.history, newVerdicts(ctx, h)
		return l.watch(ctx)
	}
	return l.once(ctx)
}

// lister is the command list.
type lister struct {
	options    *options
	observe    func(context.Context) (*closewait.View, error)
	visibility closewait.Visibility
	rules      report.Rules     // nil without a rules file
	history    *history.History // nil without --watch
	verdicts   *verdicts        // nil without --watch
	out        *output
	stderr     io.Writer
}

// once lists the processes once.
func (l *lister) once(ctx context.Context) error {
	view, err := observe(ctx, l.observe, l.options.minAge)
	if err != nil {
		return err
	}
	r := l.report(view)
	columns, _ := l.out.size()
	buffer := bufio.NewWriter(l.out)
	if err := l.write(r, buffer, columns); err != nil {
		return err
	}
	if err := buffer.Flush(); err != nil {
		return err
	}
	if err := r.Notes(l.stderr, columns); err != nil {
		return err
	}
	if l.options.list.failIfLeaking && r.Leaking() > 0 {
		return errLeaking
	}
	return nil
}

func (l *lister) report(view *closewait.View) *report.Report {
	r := newReport(view, l.options.minAge, l.visibility)
	r.Rules, r.History, r.Selection = l.rules, l.history, l.options.list.selection
	if l.verdicts != nil {
		r.Verdicts = l.verdicts.of(view, r.Listed)
	}
	return r
}

// observe scans the host, so that ages of at least minAge are known.
func observe(ctx context.Context, scan func(context.Context) (*closewait.View, error), minAge time.Duration) (*closewait.View, error) {
	view, err := report.Observe(ctx, scan, minAge)
	if errors.Is(err, context.Canceled) {
		return nil, errors.New("interrupted before the scan was complete")
	}
	return view, err
}

func newReport(view *closewait.View, minAge time.Duration, v closewait.Visibility) *report.Report {
	return &report.Report{View: view, Listed: closewait.Listed(view, minAge), MinAge: minAge, Visibility: v}
}

// write writes a report in the format that the flags ask for, in lines of that many columns (0: no
// limit).
func (l *lister) write(r *report.Report, w io.Writer, columns int) error {
	switch {
	case l.options.list.output == jsonOutput:
		return r.JSON(w, l.options.list.sockets)
	case l.options.list.sockets:
		return r.Sockets(w)
	}
	return r.Processes(w, columns)
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
