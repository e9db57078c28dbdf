package app

import (
	"bufio"
	"context"
	"errors"
	"io"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/rules"
	"closewait_exporter/report"
)

// errLeaking is the result of list --fail-if-leaking on a host with a leak.
var errLeaking = errors.New("a process is leaking")

// list scans the host, or asks a running exporter, and writes the result to out, and what could not
// be read to stderr. It does not close the host: a scan that was interrupted may still use it, and
// the process ends anyway.
func list(ctx context.Context, o *options, out *output, stderr io.Writer) error {
	read, err := reader(ctx, o)
	if err != nil {
		return err
	}
	l := &lister{options: o, read: read, out: out, stderr: stderr}
	if o.list.watch > 0 {
		return l.watch(ctx)
	}
	return l.once(ctx)
}

// reader returns what reads the host that the flags say. The first time it scans this host twice
// where ages need it; later it knows the scans before.
func reader(ctx context.Context, o *options) (func(ctx context.Context, first bool) (*report.Report, error), error) {
	if o.list.from.url != nil {
		exporter, err := newRemote(&o.list.from)
		if err != nil {
			return nil, err
		}
		return func(ctx context.Context, _ bool) (*report.Report, error) { return exporter.report(ctx) }, nil
	}
	h, err := openHost(o)
	if err != nil {
		return nil, err
	}
	observer := newObserver(ctx, h, nil)
	local := &localReader{minAge: o.minAge, observe: observer.Observe, visibility: h.visibility()}
	if o.list.output == tableOutput || o.list.command {
		local.commands = func() report.Commands { return commandLines(ctx, h) }
	}
	if o.rulesFile != "" {
		if local.rules, err = matchingRules(ctx, o.rulesFile, h); err != nil {
			return nil, err
		}
	}
	if o.list.watch > 0 {
		local.history, local.verdicts = observer.history, newVerdicts(ctx, h)
	}
	return local.read, nil
}

// localReader scans this host.
type localReader struct {
	minAge     time.Duration
	observe    func(context.Context) (*closewait.View, error)
	visibility closewait.Visibility
	commands   func() report.Commands // of a Report; nil if they are not shown
	rules      report.Rules           // nil without a rules file
	history    report.Trends          // nil without --watch
	verdicts   *verdicts              // nil without --watch
}

func (l *localReader) read(ctx context.Context, first bool) (*report.Report, error) {
	secondScanFor := l.minAge
	if !first {
		secondScanFor = 0
	}
	view, err := observe(ctx, l.observe, secondScanFor)
	if err != nil {
		return nil, err
	}
	r := newReport(view, l.minAge, l.visibility)
	r.Rules, r.History = l.rules, l.history
	if l.commands != nil {
		r.Commands = l.commands()
	}
	if l.verdicts != nil {
		r.Verdicts = l.verdicts.of(view, r.Listed)
	}
	return r, nil
}

// lister is the command list.
type lister struct {
	options *options
	read    func(ctx context.Context, first bool) (*report.Report, error)
	out     *output
	stderr  io.Writer
}

// next returns the next Report, with the processes that the flags select.
func (l *lister) next(ctx context.Context, first bool) (*report.Report, error) {
	r, err := l.read(ctx, first)
	if err != nil {
		return nil, err
	}
	r.Selection = l.options.list.selection
	return r, nil
}

// once lists the processes once.
func (l *lister) once(ctx context.Context) error {
	const first = true
	r, err := l.next(ctx, first)
	if err != nil {
		return err
	}
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
		return r.Sockets(w, columns)
	}
	return r.Processes(w, columns)
}

// commandsTimeout bounds how long all command lines of a Report take: each can hang.
const commandsTimeout = 2 * time.Second

// commandLines reads each command line once.
func commandLines(ctx context.Context, h *host) report.Commands {
	read := map[closewait.ProcessID]string{}
	var deadline time.Time // from the first
	return func(p *closewait.Process) string {
		if line, known := read[p.ID]; known {
			return line
		}
		if deadline.IsZero() {
			deadline = time.Now().Add(commandsTimeout)
		}
		limited, cancel := context.WithDeadline(ctx, deadline)
		defer cancel()
		line := ""
		if limited.Err() == nil {
			line, _ = h.commandLine(limited, p) // empty where it cannot be read
		}
		read[p.ID] = line
		return line
	}
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
