package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"syscall"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"closewait_exporter/evidence"
	"closewait_exporter/kernel/trust"
	"closewait_exporter/reaper"
	"closewait_exporter/reaper/rules"
	"closewait_exporter/reaper/step"
)

// newReaper makes the reaper of --reaper.config. Without a store it writes no evidence.
func newReaper(o *options, h *host, observer *observer, store *evidence.Store, logger log.Logger) (*reaper.Reaper, error) {
	config, err := loadRules(o, logger)
	if err != nil {
		return nil, err
	}
	f := newFleet(o)
	e, err := newExecutor(h, f)
	if err != nil {
		return nil, err
	}
	if store != nil {
		e.evidence = newEvidenceWriter(h, observer, store)
	}
	own, err := e.Ancestors()
	if err != nil {
		return nil, err
	}
	ro := reaper.Options{
		Config:      config,
		Enforce:     o.serve.enforce,
		Own:         own,
		Observe:     observer.Observe,
		Command:     h.commandLine,
		Activity:    e.Activity,
		FDGrowth:    observer.fdGrowth,
		Supervision: e.finder.Of,
		Executors:   [...]step.Executor{rules.DryRun: step.DryRunExecutor{Executor: e}, rules.Enforce: e},
		Fleet:       f,
		Rights:      e.rights,
		Lock:        e.lock,
		AuditLog:    reaper.NewAuditFile(o.serve.auditFile),
		Logger:      logger,
	}
	if o.serve.stateFile != "" {
		ro.StateFile = reaper.NewStateFile(o.serve.stateFile, e.Boot)
	}
	if o.serve.auditFile == "" {
		ro.AuditLog = reaper.NoAuditLog{}
	}
	warnAboutMissingFiles(o, logger)
	return reaper.New(ro), nil
}

// loadRules reads the rules file of serve. Whoever can change it decides which programs are run and
// ended with the capabilities of the exporter, so --reaper.enforce refuses a file that other users
// can change.
func loadRules(o *options, logger log.Logger) (*rules.Config, error) {
	config, err := rules.Load(o.rulesFile)
	if err != nil {
		return nil, err
	}
	if config.Fleet.Slots != nil {
		if err := o.cluster.connection().Check(); err != nil {
			return nil, fmt.Errorf("fleet.slots: %w", err)
		}
	}
	if err := requireEvidenceDir(config, o.serve.evidenceDir); err != nil {
		return nil, err
	}
	if file := o.cluster.kubeconfig; file != "" && o.serve.enforce {
		if err := trust.Check(file); err != nil {
			return nil, fmt.Errorf("--cluster.kubeconfig: %w: --reaper.enforce refuses a file that other users can change", err)
		}
	}
	err = trust.Check(o.rulesFile)
	switch {
	case err == nil:
		return config, nil
	case o.serve.enforce:
		return nil, fmt.Errorf("rules file: %w: --reaper.enforce refuses rules that other users can change", err)
	case !errors.Is(err, fs.ErrNotExist): // a pipe has no path
		level.Warn(logger).Log("msg", "Other users can change the rules, --reaper.enforce would refuse them", "err", err)
	}
	return config, nil
}

func warnAboutMissingFiles(o *options, logger log.Logger) {
	if !o.serve.enforce {
		return
	}
	if o.serve.stateFile == "" {
		level.Warn(logger).Log("msg", "Cooldowns and the used action budget will be lost on restart, set --reaper.state-file to keep them")
	}
	if o.serve.auditFile == "" {
		level.Warn(logger).Log("msg", "This log is the only record of actions, set --reaper.audit-file to write audit records")
	}
}

// reloadOnSIGHUP calls reload at each SIGHUP until ctx ends. The reaper logs and counts the result.
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
