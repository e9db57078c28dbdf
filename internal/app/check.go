package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"

	"closewait_exporter/check"
)

// commandOf returns the command that a command line names; empty if it names none. Unlike parse it
// knows the command of a command line with errors.
func commandOf(args []string) string {
	i := slices.IndexFunc(args, func(arg string) bool { return slices.Contains(commands, arg) || arg == "help" })
	if i < 0 {
		return helped
	}
	return args[i]
}

// runCheck writes the result of a check, and returns its state as the exit status. Monitoring
// systems read standard output only, and take every exit status but UNKNOWN for a statement about
// the host. So every error is UNKNOWN, and so is the answer to --help and --version.
func runCheck(ctx context.Context, o *options, usage error, answered bool, stdout io.Writer) int {
	var result check.Result
	switch {
	case usage != nil:
		result = check.Failed(fmt.Errorf("%w (--help lists all flags)", usage))
	case answered:
		return int(check.Unknown)
	default:
		result = checkHost(ctx, o)
	}
	if err := result.Write(stdout); err != nil {
		return int(check.Unknown)
	}
	return int(result.State)
}

// checkHost scans the host and compares it with the thresholds. Like list it does not close the
// host.
func checkHost(ctx context.Context, o *options) check.Result {
	runtime.GOMAXPROCS(o.gomaxprocs)
	limited, cancel := context.WithTimeout(ctx, o.check.timeout)
	defer cancel()
	if o.check.from.url != nil {
		return checkRemote(limited, o)
	}
	h, err := openHost(o)
	if err != nil {
		return check.Failed(err)
	}
	view, err := observe(limited, newObserver(limited, h, nil).Observe, o.minAge)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return check.Failed(fmt.Errorf("the scan was not complete after --timeout=%s", o.check.timeout))
	case err != nil:
		return check.Failed(err)
	}
	return check.Evaluate(newReport(view, o.minAge, h.visibility()), o.check.warning, o.check.critical)
}

// checkRemote compares what a running exporter says with the thresholds.
func checkRemote(ctx context.Context, o *options) check.Result {
	exporter, err := newRemote(&o.check.from)
	if err != nil {
		return check.Failed(err)
	}
	r, err := exporter.report(ctx)
	switch {
	case ctx.Err() != nil:
		return check.Failed(fmt.Errorf("%s did not answer within --timeout=%s", o.check.from.url, o.check.timeout))
	case err != nil:
		return check.Failed(err)
	}
	return check.Evaluate(r, o.check.warning, o.check.critical)
}
