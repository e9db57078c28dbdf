package app

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"closewait_exporter/evidence"
	kernelhost "closewait_exporter/kernel/host"
	"closewait_exporter/kernel/inspect"
	"closewait_exporter/kernel/symbols"
	"closewait_exporter/kernel/trace"
	"closewait_exporter/report"
)

// runOrigin traces a process and says which code made the sockets that it leaks.
func runOrigin(ctx context.Context, o *options, columns int, stdout, stderr io.Writer) (err error) {
	proc, err := kernelhost.Open(o.procFS)
	if err != nil {
		return err
	}
	defer proc.Close()
	id, err := inspect.Find(proc, o.origin.pid)
	if err != nil {
		return err
	}
	process, err := describe(proc, id)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find own program: %w", err)
	}
	if o.origin.file != "" { // before the trace, which takes longer than a mistyped path deserves
		if err := adviseForce(evidence.CheckFile(o.origin.file, o.origin.force)); err != nil {
			return fmt.Errorf("write profile: %w", err)
		}
	}
	tracer := &trace.Tracer{
		Host:    proc,
		Symbols: &symbols.Reader{Child: []string{self, symbolsCommand, "--path.procfs=" + proc.Path}},
		For:     o.origin.duration,
		MinAge:  o.minAge,
		Started: func() {
			fmt.Fprintf(stderr, "Tracing process %d for %v. Only sockets that it makes from now on are seen. Ctrl-C ends the trace earlier.\n", id.PID, o.origin.duration)
		},
	}
	result, err := tracer.Trace(ctx, &process)
	if err != nil {
		return err
	}
	return writeOrigin(&report.Origin{Trace: result}, o, columns, stdout)
}

// writeOrigin writes the result to standard output and, as a profile, to a file if one is named.
func writeOrigin(r *report.Origin, o *options, columns int, stdout io.Writer) error {
	out := bufio.NewWriter(stdout)
	var err error
	if o.origin.output == jsonOutput {
		err = r.JSON(out)
	} else {
		err = r.Text(out, columns)
	}
	if err = errors.Join(err, out.Flush()); err != nil || o.origin.file == "" {
		return err
	}
	var profile bytes.Buffer
	if err := r.Profile(&profile); err != nil {
		return err
	}
	if err := evidence.WriteFile(o.origin.file, profile.Bytes(), o.origin.force); err != nil {
		return fmt.Errorf("write profile: %w", adviseForce(err))
	}
	return nil
}

// readSymbols is the hidden command that origin runs as a child process: it reads what can hang,
// and ends itself if it does.
func readSymbols(o *options, stdin io.Reader, stdout io.Writer) error {
	limit := time.AfterFunc(2*symbols.ChildTime, func() { os.Exit(1) })
	defer limit.Stop()
	proc, err := kernelhost.Open(o.procFS)
	if err != nil {
		return err
	}
	defer proc.Close()
	return symbols.Resolve(proc, stdin, stdout)
}
