package app

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/diagnose"
	kernelhost "closewait_exporter/kernel/host"
	"closewait_exporter/kernel/inspect"
	"closewait_exporter/report"
)

// The exit statuses of diagnose, besides 1 for an error.
const (
	nothingWrong = 0
	foundVerdict = 2
)

// runDiagnose says why a process does not close its connections.
func runDiagnose(ctx context.Context, o *options, columns int, stdout io.Writer) (status int, err error) {
	if o.diagnose.pid != 0 && o.diagnose.group != "" {
		return 1, errors.New("give a pid or --group, not both")
	}
	h, err := openHost(o)
	if err != nil {
		return 1, err
	}
	var id closewait.ProcessID
	if o.diagnose.pid != 0 { // before the scan, which takes longer than a mistyped pid deserves
		if id, err = inspect.Find(h.proc, o.diagnose.pid); err != nil {
			return 1, err
		}
	}
	view, err := observe(ctx, newObserver(ctx, h, nil).Observe, o.minAge)
	if err != nil {
		return 1, err
	}
	holder, err := chooseHolder(view, id, o, h)
	if err != nil {
		return 1, err
	}
	if holder == nil && o.diagnose.output == jsonOutput {
		_, err := fmt.Fprintln(stdout, "null")
		return nothingWrong, err
	}
	if holder == nil {
		_, err := fmt.Fprintln(stdout, "No process is listed: there is nothing to diagnose. Give a pid to diagnose any process.")
		return nothingWrong, err
	}
	d, err := h.diagnose(ctx, view, holder, o.diagnose.peek)
	if err != nil {
		return 1, err
	}
	out := bufio.NewWriter(stdout)
	if o.diagnose.output == jsonOutput {
		err = d.JSON(out)
	} else {
		err = d.Text(out, columns)
	}
	if err = errors.Join(err, out.Flush()); err != nil {
		return 1, err
	}
	if d.Verdict.Wrong() {
		return foundVerdict, nil
	}
	return nothingWrong, nil
}

// chooseHolder returns the process to diagnose: the one that was named, or the worst listed one, of
// a group if one is given. It returns nil if none is listed and none was asked for.
func chooseHolder(view *closewait.View, named closewait.ProcessID, o *options, h *host) (*closewait.Holder, error) {
	if named.PID != 0 {
		return h.holder(view, named)
	}
	for _, holder := range closewait.Listed(view, o.minAge) {
		if o.diagnose.group == "" || holder.Group() == o.diagnose.group {
			return holder, nil
		}
	}
	if o.diagnose.group != "" {
		return nil, fmt.Errorf("no process of the group %q is listed: closewait_exporter list shows the groups, and a pid diagnoses any process", o.diagnose.group)
	}
	return nil, nil
}

// diagnose reads the facts about a process and draws the conclusion.
func (h *host) diagnose(ctx context.Context, view *closewait.View, holder *closewait.Holder, peek bool) (*report.Diagnosis, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find own program: %w", err)
	}
	reader := &inspect.Reader{
		Host:    h.proc,
		Child:   []string{self, memoryCommand, "--path.procfs=" + h.proc.Path},
		Workers: h.actions.Workers,
		Peek:    peek,
	}
	facts, err := reader.Read(ctx, &holder.Process)
	if err != nil {
		return nil, err
	}
	facts.Holder, facts.Taken = holder, view.Taken
	halted, err := h.halted(holder.ID)
	if errors.Is(err, closewait.ErrGone) {
		return nil, err
	}
	if err != nil {
		facts.Missing = append(facts.Missing, fmt.Sprintf("Not read: whether it is frozen: %v.", err))
	}
	facts.Halted = halted
	if !facts.SocketsKnown && holder.Total() == 0 {
		reason := strings.TrimSuffix(strings.TrimPrefix(facts.Missing[0], "Not read: "), ".")
		return nil, fmt.Errorf("process %d (%s) cannot be read: %s", holder.ID.PID, holder.Comm, reason)
	}
	return &report.Diagnosis{Facts: facts, Verdict: diagnose.Diagnose(facts)}, nil
}

// readMemory is the hidden command that diagnose runs as a child process: it reads what can hang,
// and ends itself if it does.
func readMemory(ctx context.Context, o *options, stdin io.Reader, stdout io.Writer) error {
	const requests = 3 // of one diagnosis
	limit := time.AfterFunc(2*requests*inspect.ChildTime, func() { os.Exit(1) })
	defer limit.Stop()
	proc, err := kernelhost.Open(o.procFS)
	if err != nil {
		return err
	}
	defer proc.Close()
	return inspect.ReadMemory(ctx, proc, stdin, stdout)
}
