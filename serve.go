package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/version"
	toolkit "github.com/prometheus/exporter-toolkit/web"

	"closewait_exporter/closewait"
	"closewait_exporter/collector"
	"closewait_exporter/docs"
	"closewait_exporter/kernel"
	"closewait_exporter/reaper"
	"closewait_exporter/reaper/rules"
	"closewait_exporter/web"
)

// shared is for how long scrapes share a View: two Prometheus servers cost one scan.
const shared = time.Second

// grace is for how long the end waits for a scan or an action under way. What hangs in the kernel must
// not keep the process from ending.
const grace = time.Second

// observation gives a View of the host.
type observation = func(context.Context) (*closewait.View, error)

// serve answers scrapes until ctx ends.
func serve(ctx context.Context, f *flags, logger log.Logger, slogger *slog.Logger) error {
	if err := checkWebConfig(*f.serve.toolkit.WebConfigFile); err != nil {
		return err
	}
	level.Info(logger).Log("msg", "Starting "+program, "version", version.Info(), "build_context", version.BuildContext())
	scanner, err := kernel.NewScanner(f.kernel)
	if err != nil {
		return err
	}
	logVisibility(logger, scanner.Visibility())

	life, end := context.WithCancel(context.Background())
	defer end()
	observer := closewait.NewObserver(life, scanner.Scan, closewait.NewTracker(f.serve.ageBuckets), time.Now)
	health := web.NewHealth(logger)
	observe := func(ctx context.Context) (*closewait.View, error) {
		view, err := observer.Recent(ctx, shared)
		health.Note(err)
		return view, err
	}
	// A probe is impatient: that its time is over says nothing of the scan, which goes on.
	look := func(ctx context.Context) error {
		_, err := observer.Recent(ctx, shared)
		if err == nil || ctx.Err() == nil {
			health.Note(err)
		}
		return err
	}
	var reap *reaper.Reaper
	if f.rulesFile != "" {
		if reap, err = newReaper(f, scanner, observer, logger); err != nil {
			return err
		}
	}
	reload := func() error { return reap.Reload(func() (*rules.Config, error) { return rules.Load(f.rulesFile) }) }
	handler, err := newHandler(f, scanner, observe, look, reap, reload, health, logger)
	if err != nil {
		return err
	}
	var loops sync.WaitGroup
	loops.Go(func() { _, _ = observe(life) }) // the exporter is ready, and its ages begin, before anyone scrapes
	if reap != nil {
		loops.Go(func() { reloadOnSIGHUP(life, reload) })
		loops.Go(func() { _ = reap.Run(life) }) // it fails in nothing that would be a reason to end
	}
	err = web.Serve(ctx, handler, f.serve.toolkit, slogger)
	end()
	if endsWithin(grace, func() { loops.Wait(); observer.Wait() }) {
		scanner.Close() // nobody scans any more
	} else {
		level.Warn(logger).Log("msg", "Ending in spite of a scan or an action that hangs")
	}
	return err
}

func checkWebConfig(file string) error {
	if err := toolkit.Validate(file); err != nil {
		return fmt.Errorf("--web.config.file=%s: %w: give a file as described in https://github.com/prometheus/exporter-toolkit/blob/master/docs/web-configuration.md",
			file, err)
	}
	return nil
}

// newHandler joins what is seen to what is asked.
func newHandler(f *flags, scanner *kernel.Scanner, observe observation, look func(context.Context) error, reap *reaper.Reaper, reload func() error, health *web.Health, logger log.Logger) (http.Handler, error) {
	metrics := collector.New(collector.Options{
		Observe:      observe,
		Faults:       scanner.Faults,
		Scanner:      scanner.Engine(),
		MinAge:       f.minAge,
		MaxProcesses: f.serve.maxProcesses,
		MaxServices:  f.serve.maxServices,
		AgeBuckets:   f.serve.ageBuckets,
		PIDLabel:     f.serve.pidLabel,
	})
	gatherer := metrics.Gatherer
	if reap != nil {
		deeds := prometheus.NewRegistry()
		if err := deeds.Register(reap.Metrics()); err != nil {
			return nil, err
		}
		gatherer = func(ctx context.Context) prometheus.Gatherer {
			return prometheus.Gatherers{metrics.Gatherer(ctx), deeds}
		}
	}
	if reap == nil || !f.serve.lifecycle {
		reload = nil
	}
	return web.NewHandler(web.Options{
		Reload:                 reload,
		TelemetryPath:          f.serve.telemetryPath,
		MaxRequests:            f.serve.maxRequests,
		WithoutExporterMetrics: f.serve.ownMetricsOff,
		Page:                   newPage(f, scanner.Visibility(), observe, reap),
		Documents:              docs.Files,
		Gatherer:               gatherer,
		Look:                   look,
		Health:                 health,
		Logger:                 logger,
	}), nil
}

// logVisibility logs in one line what the exporter can read, and what it cannot and why.
func logVisibility(logger log.Logger, v closewait.Visibility) {
	line := []any{"msg", "Scanning this host", "scanner", v.Scanner, "network_namespaces", v.Namespaces}
	if v.Fallback != "" {
		line = append(line, "fallback", v.Fallback)
	}
	var missing []string
	for _, m := range v.Missing {
		missing = append(missing, fmt.Sprintf("without %s no %s", m.Capability, m.Lost))
	}
	if len(missing) > 0 {
		line = append(line, "missing", strings.Join(missing, "; "))
	}
	if v.Fallback != "" || len(missing) > 0 {
		logger = level.Warn(logger)
	} else {
		logger = level.Info(logger)
	}
	logger.Log(line...)
}

// endsWithin tells whether wait returns in time.
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
