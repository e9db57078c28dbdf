package app

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	"github.com/prometheus/common/version"
	toolkit "github.com/prometheus/exporter-toolkit/web"

	"closewait_exporter/closewait"
	"closewait_exporter/evidence"
	"closewait_exporter/reaper"
	"closewait_exporter/reaper/rules"
	"closewait_exporter/web"
)

// maxViewAge is the maximum age of a View for scrapes, so that two Prometheus servers cost one
// scan.
const maxViewAge = time.Second

// shutdownGrace is how long the shutdown waits for a scan or an action in progress. One that
// hangs in the kernel must not keep the process from exiting.
const shutdownGrace = time.Second

// server holds what serve runs.
type server struct {
	options  *options
	host     *host
	observer *observer
	verdicts *verdicts
	health   *web.Health
	reaper   *reaper.Reaper  // nil without --reaper.config
	history  *historyFile    // nil: the history is lost on restart
	evidence *evidence.Store // nil without --reaper.evidence-dir
	logger   log.Logger
}

// serve answers scrapes, and runs the reaper, until ctx ends.
func serve(ctx context.Context, o *options, logger log.Logger, slogger *slog.Logger) error {
	if err := checkWebConfig(*o.serve.toolkit.WebConfigFile); err != nil {
		return err
	}
	level.Info(logger).Log("msg", "Starting "+program, "version", version.Info(), "build_context", version.BuildContext())
	h, err := openHost(o)
	if err != nil {
		return err
	}
	logVisibility(logger, h.visibility())
	limitMemory(logger)
	connections, err := maxConnections(o.serve.maxConnections, logger)
	if err != nil {
		return err
	}

	life, end := context.WithCancel(context.Background())
	defer end()
	s := &server{options: o, host: h, health: web.NewHealth(logger), logger: logger}
	s.observer, s.verdicts = newObserver(life, h, o.serve.ageBuckets), newVerdicts(life, h)
	if path := historyPath(o.serve.historyFile); path != "" {
		s.history = newHistoryFile(path, h.boot, logger)
		s.observer.history = s.history.load(time.Now())
	}
	if o.rulesFile != "" {
		if s.evidence, err = openEvidence(o); err != nil {
			return err
		}
		if s.reaper, err = newReaper(o, h, s.observer, s.evidence, logger); err != nil {
			return err
		}
	}
	handler, err := s.handler()
	if err != nil {
		return err
	}
	var loops sync.WaitGroup
	s.start(life, &loops)
	err = web.Serve(ctx, web.ServerOptions{
		Handler: handler, Flags: o.serve.toolkit, MaxConnections: connections, Logger: slogger,
		Listening: func() { s.notify(daemon.SdNotifyReady) },
	})
	s.notify(daemon.SdNotifyStopping)
	end()
	if endsWithin(shutdownGrace, func() { loops.Wait(); s.observer.Wait(); s.verdicts.wait() }) {
		h.close() // no scan uses it any more
	} else {
		level.Warn(logger).Log("msg", "Shutting down with a scan or action still blocked in the kernel")
	}
	return err
}

// start starts the loops that run until life ends.
func (s *server) start(life context.Context, loops *sync.WaitGroup) {
	loops.Go(func() { _, _ = s.observe(life) }) // the exporter becomes ready, and ages begin, before the first scrape
	hangs := func() bool { return s.reaper != nil && s.reaper.Stalled() }
	loops.Go(func() { s.feedWatchdog(life, hangs) })
	if s.history != nil {
		loops.Go(func() { s.history.keep(life, s.observer.history) })
	}
	if s.evidence != nil {
		loops.Go(func() { sweepEvidence(life, s.evidence, s.logger) })
	}
	if s.reaper != nil {
		loops.Go(func() { reloadOnSIGHUP(life, s.reload) })
		loops.Go(func() { _ = s.reaper.Run(life) }) // its failures are no reason to stop serving
	}
}

// observe returns a View for a scrape or a page.
func (s *server) observe(ctx context.Context) (*closewait.View, error) {
	view, err := s.observer.Recent(ctx, maxViewAge)
	s.health.Record(err)
	return view, err
}

// probe observes the host for a readiness probe. A probe has a short timeout, so reaching it does
// not count as a failed scan.
func (s *server) probe(ctx context.Context) error {
	_, err := s.observer.Recent(ctx, maxViewAge)
	if err == nil || ctx.Err() == nil {
		s.health.Record(err)
	}
	return err
}

// reload reads the rules file again.
func (s *server) reload() error {
	return s.reaper.Reload(func() (*rules.Config, error) { return loadRules(s.options, s.logger) })
}

func checkWebConfig(file string) error {
	if err := toolkit.Validate(file); err != nil {
		return fmt.Errorf("--web.config.file=%s: %w: give a file as described in https://github.com/prometheus/exporter-toolkit/blob/master/docs/web-configuration.md",
			file, err)
	}
	return nil
}

// endsWithin reports whether wait returns within the grace period.
func endsWithin(grace time.Duration, wait func()) bool {
	ended := make(chan struct{})
	go func() { wait(); close(ended) }()
	select {
	case <-ended:
		return true
	case <-time.After(grace):
		return false
	}
}
