package main

import (
	"context"
	"os"
	"time"

	"github.com/prometheus/common/version"

	"closewait_exporter/closewait"
	"closewait_exporter/report"
	"closewait_exporter/page"
	"closewait_exporter/reaper"
	"closewait_exporter/web"
)

// newPage makes the page for people. It shows the same Views as scrapes, so it costs no scan of its own
// while somebody scrapes.
func newPage(f *flags, visibility closewait.Visibility, observe observation, reap *reaper.Reaper) *page.Page {
	host, _ := os.Hostname() // a page without it is a page
	o := page.Options{
		Host:      host,
		Version:   version.Version,
		Documents: web.DocumentsPath,
		Now:       time.Now,
		Links: []page.Link{
			{Text: "Metrics", Address: f.serve.telemetryPath, About: "for Prometheus"},
			{Text: "Health", Address: web.HealthyPath, About: "whether the exporter answers"},
			{Text: "Readiness", Address: web.ReadyPath, About: "whether a scan of this host has succeeded"},
			{Text: "Runbook", Address: web.DocumentsPath + "RUNBOOK.md", About: "what to do about a leak"},
			{Text: "All metrics explained", Address: web.DocumentsPath + "METRICS.md", About: "what each of them means"},
		},
		Report: func(ctx context.Context) (*report.Report, error) {
			view, err := observe(ctx)
			if err != nil {
				return nil, err
			}
			return newReport(view, f.minAge, visibility), nil
		},
	}
	if reap != nil {
		o.Reaper = reap.Status
	}
	return page.New(o)
}
