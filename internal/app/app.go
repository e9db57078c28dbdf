// Package app is the program: it parses the command line, connects the packages to each other and
// runs the chosen command until its context ends.
package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"

	"github.com/go-kit/log/level"

	"closewait_exporter/internal/logging"
	"closewait_exporter/reaper/rules"
	"closewait_exporter/report"
)

const program = "closewait_exporter"

// statusLeaking is the exit status of list --fail-if-leaking on a host with a leak.
const statusLeaking = 2

// Run runs the command that args ask for, with the documents that serve shows at their places in
// the repository. It returns the exit status: 0 for success, 1 for an error, 2 if list
// --fail-if-leaking has found a leak, or diagnose has a verdict. The command check has the exit
// statuses of a plugin.
func Run(ctx context.Context, args []string, documents fs.FS, stdout, stderr io.Writer) int {
	raw, out := stdout, newOutput(stdout)
	stdout, stderr = out, report.NewTerminalWriter(stderr)
	command, o, err := parse(args, stdout)
	if commandOf(args) == checkCommand {
		return runCheck(ctx, o, err, command == helped, stdout)
	}
	if err != nil {
		fmt.Fprintf(stderr, "%s: error: %v (--help lists all flags)\n", program, err)
		return 1
	}
	o.serve.documents = documents
	runtime.GOMAXPROCS(o.gomaxprocs)
	switch command {
	case serveCommand:
		return runServe(ctx, o, stderr)
	case listCommand:
		err = list(ctx, o, out, stderr)
		if errors.Is(err, errLeaking) {
			return statusLeaking
		}
	case diagnoseCommand:
		columns, _ := out.size()
		status, err := runDiagnose(ctx, o, columns, stdout)
		if err != nil {
			fmt.Fprintf(stderr, "%s: error: %v\n", program, err)
		}
		return status
	case evidenceCommand:
		err = runEvidence(ctx, o, stdout)
	case originCommand:
		columns, _ := out.size()
		err = runOrigin(ctx, o, columns, stdout, stderr)
	case symbolsCommand:
		err = readSymbols(o, os.Stdin, raw) // binary too
	case memoryCommand:
		err = readMemory(ctx, o, os.Stdin, raw) // binary, for the process that has started it
	case explainCommand:
		err = explain(ctx, o, stdout)
	case configCommand:
		if err := rules.Check(o.checkConfig.file, thisHost(), stdout); err != nil {
			fmt.Fprintln(stderr, err) // file:line: comes first, for editors
			return 1
		}
	}
	if err != nil {
		fmt.Fprintf(stderr, "%s: error: %v\n", program, err)
		return 1
	}
	return 0
}

// runServe logs errors instead of printing them.
func runServe(ctx context.Context, o *options, stderr io.Writer) int {
	logger, slogger, err := logging.New(stderr, o.logLevel, o.logFormat)
	if err != nil {
		fmt.Fprintf(stderr, "%s: error: %v\n", program, err)
		return 1
	}
	if err := serve(ctx, o, logger, slogger); err != nil {
		level.Error(logger).Log("msg", "Exporter failed", "err", err)
		return 1
	}
	return 0
}
