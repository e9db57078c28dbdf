package app

import (
	"context"
	"fmt"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel/action"
	kernelhost "closewait_exporter/kernel/host"
	"closewait_exporter/kernel/procfs"
	"closewait_exporter/kernel/scan"
	"closewait_exporter/systemd"
)

// host gives the commands access to this host. Only this file and executor.go use the scanner of
// package kernel/scan and the executor of package kernel/action.
type host struct {
	proc     *kernelhost.Host
	scanner  scan.Scanner
	visible  closewait.Visibility
	commands *procfs.CommandLines
	actions  action.Options
	units    *systemd.Units

	inspections *kernelhost.BoundedCalls // of single processes
}

func openHost(o *options) (*host, error) {
	proc, err := kernelhost.Open(o.procFS)
	if err != nil {
		return nil, err
	}
	scanner, visible, err := scan.Open(proc, o.scan)
	if err != nil {
		proc.Close()
		return nil, err
	}
	return &host{
		proc:     proc,
		scanner:  scanner,
		visible:  visible,
		commands: procfs.NewCommandLines(proc),
		units:    systemd.NewUnits(),
		actions:  action.Options{Workers: o.scan.Workers, Namespaces: o.scan.Namespaces},

		inspections: &kernelhost.BoundedCalls{MaxBlocked: maxHanging, Timeout: inspectTime},
	}, nil
}

func (h *host) scan(ctx context.Context) (*closewait.Snapshot, error) { return h.scanner.Scan(ctx) }

func (h *host) scannerName() string { return h.visible.Scanner }

func (h *host) scanErrors() map[closewait.ScanError]uint64 { return h.proc.Errors.Snapshot() }

func (h *host) visibility() closewait.Visibility { return h.visible }

// commandLine reads the command line of a process in bounded time.
func (h *host) commandLine(ctx context.Context, p *closewait.Process) (string, error) {
	return h.commands.Of(ctx, p)
}

// describe reads the facts of a process that holds no socket of interest.
func (h *host) describe(id closewait.ProcessID) (closewait.Process, error) {
	return describe(h.proc, id)
}

func describe(proc *kernelhost.Host, id closewait.ProcessID) (closewait.Process, error) {
	p, _, err := procfs.NewDescriber(proc).Describe(id, procfs.Known{})
	if err != nil {
		return p, fmt.Errorf("describe process %d: %w", id.PID, kernelhost.GoneIfVanished(err))
	}
	return p, nil
}

// boot identifies the current boot of the host.
func (h *host) boot() (closewait.Boot, error) {
	executor, err := action.New(h.proc, h.actions)
	if err != nil {
		return closewait.Boot{}, err
	}
	return executor.Boot()
}

// holder returns the process with that identity, with its sockets if it has some in the View.
func (h *host) holder(view *closewait.View, id closewait.ProcessID) (*closewait.Holder, error) {
	for _, holder := range view.Holders {
		if holder.ID == id {
			return holder, nil
		}
	}
	p, err := h.describe(id)
	return &closewait.Holder{Process: p}, err
}

// halted says what keeps a process from running from outside; empty: nothing.
func (h *host) halted(id closewait.ProcessID) (string, error) {
	executor, err := action.New(h.proc, h.actions)
	if err != nil {
		return "", err
	}
	activity, err := executor.Activity(id)
	return activity.Halted, err
}

func (h *host) close() {
	h.units.Close()
	h.scanner.Close()
	h.proc.Close()
}
