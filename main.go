// closewait_exporter tells Prometheus, and people, which processes leak sockets in CLOSE_WAIT.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/go-kit/log/level"

	"closewait_exporter/internal/logging"
	"closewait_exporter/reaper/rules"
)

const program = "closewait_exporter"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(run(ctx, os.Args[1:]))
}

// run does what the command line asks for and returns the exit status.
func run(ctx context.Context, args []string) int {
	command, f, err := parseFlags(args)
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: error: %v (--help lists all flags)\n", program, err)
		return 1
	}
	runtime.GOMAXPROCS(f.gomaxprocs)
	switch command {
	case listCommand:
		return status(list(ctx, f))
	case explainCommand:
		return status(explain(ctx, f))
	case checkCommand:
		if err := rules.Check(f.check.file, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err) // file:line: first, for editors
			return 1
		}
		return 0
	}
	logger, slogger, err := logging.New(os.Stderr, f.logLevel, f.logFormat)
	if err != nil {
		return status(err)
	}
	if err := serve(ctx, f, logger, slogger); err != nil {
		level.Error(logger).Log("msg", "Exporter failed", "err", err)
		return 1
	}
	return 0
}

// status tells the user of an error, and the shell.
func status(err error) int {
	if err == nil {
		return 0
	}
	fmt.Fprintf(os.Stderr, "%s: error: %v\n", program, err)
	return 1
}
