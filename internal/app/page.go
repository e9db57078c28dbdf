package app

import (
	"context"
	"os"
	"time"

	"github.com/prometheus/common/version"

	"closewait_exporter/page"
	"closewait_exporter/report"
	"closewait_exporter/web"
)

// page returns the page for people. It shows the same Views as scrapes, so it needs no scans of its
// own while the exporter is scraped.
func (s *server) page() *page.Page {
	name, _ := os.Hostname() // the page works without it
	visibility := s.host.visibility()
	o := page.Options{
		Host:      name,
		Version:   version.Version,
		Documents: web.DocumentsPath,
		Now:       time.Now,
		Links: []page.Link{
			{Text: "Metrics", Address: s.options.serve.telemetryPath, About: "for Prometheus"},
			{Text: "Health", Address: web.HealthyPath, About: "whether the exporter answers"},
			{Text: "Readiness", Address: web.ReadyPath, About: "whether a scan of this host has succeeded"},
			{Text: "Runbook", Address: web.DocumentsPath + "RUNBOOK.md", About: "what to do about a leak"},
			{Text: "Metrics reference", Address: web.DocumentsPath + "METRICS.md", About: "the meaning of each metric"},
		},
		Report: func(ctx context.Context) (*report.Report, error) {
			view, err := s.observe(ctx)
			if err != nil {
				return nil, err
			}
			r := newReport(view, s.options.minAge, visibility)
			r.History = s.observer.history
			return r, nil
		},
	}
	if s.reaper != nil {
		o.Reaper = s.reaper.Status
	}
	return page.New(o)
}
