package main

import (
	"context"
	"os"
	"time"

	"github.com/prometheus/common/version"

	"closewait_exporter/closewait"
	listing "closewait_exporter/list"
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
		Report: func(ctx context.Context) (*listing.Report, error) {
			view, err := observe(ctx)
			if err != nil {
				return nil, err
			}
			return newReport(view, f.minAge, visibility), nil
		},
	}
	if reap != nil {
		o.Reaper = func() page.Reaper { return shown(reap.Status()) }
	}
	return page.New(o)
}

// shown translates what the reaper says into what the page, which knows nothing of rules, shows.
func shown(s reaper.Status) page.Reaper {
	p := page.Reaper{
		Enforces:   s.Mode == reaper.Enforce.String(),
		Suspended:  s.Suspended,
		BudgetLeft: s.BudgetLeft,
		Budget:     s.Limits.Actions,
		Per:        s.Limits.Per,
		LastRound:  s.LastRound,
		Reloaded:   s.Reloaded,
		Omitted:    s.Omitted,
	}
	for _, r := range s.Rules {
		p.Rules = append(p.Rules, page.Rule(r))
	}
	for _, n := range s.Decisions {
		p.Decisions = append(p.Decisions, page.Note(n))
	}
	for _, n := range s.Deeds {
		p.Deeds = append(p.Deeds, page.Note(n))
	}
	return p
}
