package app

import (
	"context"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"

	"closewait_exporter/collector"
	"closewait_exporter/page"
	"closewait_exporter/web"
)

// handler returns the handler of all paths.
func (s *server) handler() (http.Handler, error) {
	gatherer, err := s.gatherer()
	if err != nil {
		return nil, err
	}
	options := s.pageOptions()
	documents, err := page.NewDocuments(s.options.serve.documents, options)
	if err != nil {
		return nil, err
	}
	shown := page.New(options)
	o := web.Options{
		TelemetryPath:          s.options.serve.telemetryPath,
		MaxRequests:            s.options.serve.maxRequests,
		WithoutExporterMetrics: s.options.serve.ownMetricsOff,
		Page:                   shown,
		Process:                http.HandlerFunc(shown.ServeProcess),
		API:                    http.HandlerFunc(s.serveProcesses),
		Documents:              documents,
		Gatherer:               gatherer,
		Probe:                  s.probe,
		Health:                 s.health,
		Logger:                 s.logger,
	}
	if s.reaper != nil && s.options.serve.lifecycle {
		o.Reload = s.reload
	}
	return web.NewHandler(o), nil
}

// gatherer returns a gatherer of the metrics of the host and of the reaper.
func (s *server) gatherer() (func(context.Context) prometheus.Gatherer, error) {
	host := collector.New(collector.Options{
		Observe:      s.observe,
		ScanErrors:   s.host.scanErrors,
		Scanner:      s.host.scannerName(),
		MinAge:       s.options.minAge,
		MaxProcesses: s.options.serve.maxProcesses,
		MaxServices:  s.options.serve.maxServices,
		AgeBuckets:   s.options.serve.ageBuckets,
		OldAge:       s.options.serve.oldAge,
		PIDLabel:     s.options.serve.pidLabel,
	})
	if s.reaper == nil {
		return host.Gatherer, nil
	}
	actions := prometheus.NewRegistry()
	if err := actions.Register(s.reaper.Metrics()); err != nil {
		return nil, err
	}
	return func(ctx context.Context) prometheus.Gatherer {
		return prometheus.Gatherers{host.Gatherer(ctx), actions}
	}, nil
}
