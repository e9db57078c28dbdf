package app

import (
	"os"
	"strings"
	"time"

	"github.com/prometheus/common/version"

	"closewait_exporter/page"
	"closewait_exporter/web"
)

// pageOptions are the options of the pages for people. They show the same Views as scrapes, so they
// need no scans of their own while the exporter is scraped.
func (s *server) pageOptions() page.Options {
	name, _ := os.Hostname() // the page works without it
	o := page.Options{
		Host:      name,
		Version:   version.Version,
		Documents: fromPage(web.DocumentsPath),
		Dashboard: s.options.serve.dashboard,
		Now:       time.Now,
		Links: []page.Link{
			{Text: "Metrics", Address: fromPage(s.options.serve.telemetryPath), About: "for Prometheus"},
			{Text: "Health", Address: fromPage(web.HealthyPath), About: "whether the exporter answers"},
			{Text: "Readiness", Address: fromPage(web.ReadyPath), About: "whether a scan of this host has succeeded"},
			{Text: "Runbook", Address: fromPage(web.DocumentsPath + "RUNBOOK.md"), About: "what to do about a leak"},
			{Text: "Metrics reference", Address: fromPage(web.DocumentsPath + "METRICS.md"), About: "the meaning of each metric"},
			{Text: "Documents", Address: fromPage(web.DocumentsPath), About: "all documents of this version"},
		},
		Report: s.report,
	}
	if s.reaper != nil {
		o.Reaper = s.reaper.Status
	}
	return o
}

// fromPage returns the address of a path relative to the page, which is at the root: so links also
// work behind a proxy that serves the exporter below a path of its own.
func fromPage(path string) string { return strings.TrimPrefix(path, "/") }
