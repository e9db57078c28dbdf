package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/evidence"
	kernelhost "closewait_exporter/kernel/host"
	"closewait_exporter/kernel/inspect"
	"closewait_exporter/report"
)

// inspectTime is the maximum duration of each of the two parts of an inspection. Of the time that
// the reaper waits (step.EvidenceTime), they leave some to write what is known without them.
const inspectTime = 4 * time.Second

// inspectTimeByHand is the same for a person, who can wait longer on a busy host, and interrupt it.
const inspectTimeByHand = time.Minute

// maxHanging is the maximum number of inspections, or of writes, that hang.
const maxHanging = 4

// toStdout is the value of --output-file for standard output.
const toStdout = "-"

// runEvidence writes what is known about a process to a file.
func runEvidence(ctx context.Context, o *options, stdout io.Writer) error {
	h, err := openHost(o)
	if err != nil {
		return err
	}
	h.inspections.Timeout = inspectTimeByHand
	id, err := inspect.Find(h.proc, o.evidence.pid)
	if err != nil {
		return err
	}
	observer := newObserver(ctx, h, nil)
	view, err := observe(ctx, observer.Observe, o.minAge)
	if err != nil {
		return err
	}
	e, err := h.evidence(ctx, view, id, observer.history)
	if err != nil {
		return err
	}
	var document bytes.Buffer
	if err := e.JSON(&document); err != nil {
		return err
	}
	if o.evidence.file == toStdout {
		_, err := stdout.Write(document.Bytes())
		return err
	}
	return adviseForce(evidence.WriteFile(o.evidence.file, document.Bytes(), o.evidence.force))
}

// adviseForce says what to do about a file that is there already.
func adviseForce(err error) error {
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w: give another name, or --force to replace it", err)
	}
	return err
}

// evidence reads what can be known about a process at this moment. It fails if the process has
// ended. Anything else that cannot be read, or hangs, is named in the document. past may be nil.
func (h *host) evidence(ctx context.Context, view *closewait.View, id closewait.ProcessID, past report.Trends) (*report.Evidence, error) {
	holder, err := h.holder(view, id)
	if err != nil {
		return nil, err
	}
	e := &report.Evidence{Report: &report.Report{View: view, Visibility: h.visible, History: past}, Holder: holder}
	e.Diagnosis, err = kernelhost.CallWithTimeout(ctx, h.inspections, func(ctx context.Context) (*report.Diagnosis, error) {
		return h.diagnose(ctx, view, holder, false)
	})
	if errors.Is(err, closewait.ErrGone) {
		return nil, err
	}
	if err != nil {
		e.Missing = append(e.Missing, fmt.Sprintf("Not read: its threads, and so why it does not close: %v.", err))
	}
	e.Resources, err = kernelhost.CallWithTimeout(ctx, h.inspections, func(ctx context.Context) (closewait.Resources, error) {
		return inspect.ReadResources(ctx, h.proc, id)
	})
	if errors.Is(err, closewait.ErrGone) {
		return nil, err
	}
	if err != nil {
		e.Missing = append(e.Missing, fmt.Sprintf("Not read: its descriptors, limits and control groups: %v.", err))
	}
	return e, nil
}
