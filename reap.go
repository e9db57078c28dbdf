package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel"
	"closewait_exporter/reaper"
	"closewait_exporter/reaper/rules"
	"closewait_exporter/reaper/step"
)

// newReaper makes the reaper of --reaper.config.
func newReaper(f *flags, scanner *kernel.Scanner, observer *closewait.Observer, logger log.Logger) (*reaper.Reaper, error) {
	config, err := rules.Load(f.rulesFile)
	if err != nil {
		return nil, err
	}
	real, err := newHands(scanner)
	if err != nil {
		return nil, err
	}
	own, err := real.Ancestors()
	if err != nil {
		return nil, err
	}
	o := reaper.Options{
		Config:    config,
		Enforce:   f.serve.enforce,
		Own:       own,
		Observe:   observer.Observe,
		Command:   kernel.NewCommandLines(scanner).Of,
		Executors: [...]step.Executor{rules.DryRun: step.DryRunExecutor{Executor: real}, rules.Enforce: real},
		Rights:    real.rights,
		Lock:      real.claim,
		AuditLog:  reaper.NewAuditFile(f.serve.auditFile),
		Logger:    logger,
	}
	if f.serve.stateFile != "" {
		o.StateFile = reaper.NewStateFile(f.serve.stateFile, real.boot)
	}
	if f.serve.auditFile == "" {
		o.AuditLog = reaper.NoAuditLog{}
	}
	warnOfMissingFiles(f, logger)
	return reaper.New(o), nil
}

func newHands(scanner *kernel.Scanner) (hands, error) {
	h, err := kernel.NewHands(scanner)
	if err != nil {
		return hands{}, fmt.Errorf("--reaper.config: cannot act on processes here: %w", err)
	}
	return hands{h}, nil
}

func warnOfMissingFiles(f *flags, logger log.Logger) {
	if !f.serve.enforce {
		return
	}
	if f.serve.stateFile == "" {
		level.Warn(logger).Log("msg", "Without --reaper.state-file a restart forgets cooldowns and what was spent of the limits")
	}
	if f.serve.auditFile == "" {
		level.Warn(logger).Log("msg", "Without --reaper.audit-file the log is the only record of what is done")
	}
}

// reloadOnSIGHUP reads the rules file anew at each SIGHUP until ctx ends. The reaper logs and counts
// the outcome.
func reloadOnSIGHUP(ctx context.Context, reload func() error) {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	for {
		select {
		case <-hangups:
			_ = reload()
		case <-ctx.Done():
			return
		}
	}
}
