// Package supervisor finds out who starts a process again after it has ended: its parent, or the
// service manager of the host.
package supervisor

import (
	"context"
	"fmt"
	"path"
	"regexp"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel/host"
	"closewait_exporter/kernel/procfs"
)

// Finder finds the supervisors of processes. It is safe for concurrent use.
type Finder struct {
	host     *host.Host
	commands *procfs.CommandLines
	units    func(context.Context, closewait.ProcessID) (closewait.Supervision, error)
}

// New returns a Finder of a host, which must stay open. units returns whether the service manager
// of the host starts a process again.
func New(h *host.Host, commands *procfs.CommandLines, units func(context.Context, closewait.ProcessID) (closewait.Supervision, error)) *Finder {
	return &Finder{h, commands, units}
}

// Of returns who starts a process again. What cannot be found out counts as no supervisor.
func (f *Finder) Of(ctx context.Context, p *closewait.Process) closewait.Supervision {
	if s, found := f.parent(ctx, p); found {
		return s
	}
	switch {
	case p.GroupUnknown:
		return closewait.Unsupervised("its control group could not be read, so its supervisor is unknown")
	case p.Pod != "":
		return closewait.Unsupervised("whether the kubelet starts its container again is unknown without the API of Kubernetes")
	case p.Container != "":
		return closewait.Unsupervised("whether its container runtime starts it again is unknown without the API of the runtime")
	case p.Nested != "":
		return closewait.Unsupervised(fmt.Sprintf("what starts it again inside %s is unknown to the host", p.Nested))
	case p.Unit == "":
		return closewait.Unsupervised("it belongs to no service, and its parent is no supervisor")
	}
	s, err := f.units(ctx, p.ID)
	if err != nil {
		return closewait.Unsupervised("its supervisor is unknown: " + err.Error())
	}
	return s
}

// interpreters run programs that are no part of themselves, so a parent with the same interpreter
// can be any program.
var interpreters = regexp.MustCompile(`^(?:(?:ba|da|k|z|tc|c|fi)?sh|busybox|(?:python|pypy|perl|ruby|php|node|nodejs|lua|luajit|java|deno|bun|tclsh|guile|erl|beam|dotnet|mono)[\d.]*|beam\.smp|env|sudo|nohup)$`)

// parent returns the Supervision of a process whose parent is a supervisor.
func (f *Finder) parent(ctx context.Context, p *closewait.Process) (s closewait.Supervision, found bool) {
	lineage := procfs.NewLineage(f.host)
	id, exe, known := lineage.Parent(p.ID)
	if !known {
		return s, false
	}
	program := path.Base(exe)
	switch {
	case program == "runsv":
		return closewait.Supervision{By: closewait.ByRunit, Text: fmt.Sprintf("runsv (process %d)", id.PID)}, true
	case program == "s6-supervise":
		return closewait.Supervision{By: closewait.ByS6, Text: fmt.Sprintf("s6-supervise (process %d)", id.PID)}, true
	case f.isSupervisord(ctx, id, exe):
		return f.supervisord(ctx, id, p), true
	case lineage.SameImage(p.ID, id), lineage.SameProgram(p.ID, id) && !interpreters.MatchString(program):
		return closewait.Supervision{By: closewait.ByMaster, Text: fmt.Sprintf("its parent (process %d), which runs the same program", id.PID)}, true
	}
	return s, false
}
