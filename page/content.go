package page

import (
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/report"
)

// content is what the templates show.
type content struct {
	frame
	Headline string
	Query    query

	Failure    *failure // nil: the scan succeeded, and the fields below are set
	Healthy    bool     // no process leaks
	Summary    []string
	Taken      timestamp
	Processes  *processes // nil: no process is listed
	Totals     *totals
	Visibility *visibility

	Reaper *reaperContent // nil: there is no reaper
}

// tile is a number at the top of the page.
type tile struct {
	Value, Label, Detail string
	Level                string // class: normal, high or critical
}

func (p *Page) content(r *report.Report, err error, by query) *content {
	o := &p.options
	c := &content{frame: newFrame(o), Query: by}
	c.Refresh = by.refresh
	now := o.Now()
	if err != nil {
		c.Failure = newFailure(err)
		c.Headline = "The scan failed"
	} else {
		c.fill(r, by, now)
	}
	c.Title = c.Headline + " · " + c.Host + " · closewait_exporter"
	if o.Reaper != nil {
		c.Reaper = newReaperContent(o.Reaper(), now)
	}
	return c
}

// fill fills in the results of a scan.
func (c *content) fill(r *report.Report, by query, now time.Time) {
	c.Headline, c.Healthy = headline(r)
	c.Summary = r.Summary()
	c.Taken = newTimestamp(r.View.Taken, now)
	c.Totals, c.Visibility = newTotals(r), newVisibility(r)
	if line := r.OwnerlessLine(" (closewait_exporter list --sockets shows them)"); line != "" {
		c.Summary = append(c.Summary, line)
	}
	if len(r.Listed) > 0 {
		c.Processes = newProcesses(r, by)
	}
}

// headline is the most important finding in a few words.
func headline(r *report.Report) (words string, healthy bool) {
	switch leaking := r.Leaking(); {
	case leaking > 0:
		return holds(leaking) + " ended connections", false
	case len(r.Listed) > 0:
		return holds(len(r.Listed)) + " many half-closed or unconnected sockets", false
	case len(r.Ownerless()) > 0, len(r.Unseen()) > 0:
		return "No known leaking processes", false
	case !r.View.Complete.Has(closewait.Closed):
		return "No known leaks on this host", true
	}
	return "No leaks on this host", true
}

func holds(processes int) string {
	if processes == 1 {
		return "1 process holds"
	}
	return report.Count(processes, "process") + " hold"
}
