package page

import (
	"html/template"
	"slices"
	"strconv"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/report"
)

// content is what the templates show.
type content struct {
	Title, Headline string
	Host, Version   string
	Style           template.CSS
	Links           []Link
	Documents       string
	Again           order // the same page once more

	Failure   *failure // nil: the look has succeeded, and all below it is there
	Calm      bool     // nothing leaks
	Sentences []string
	Taken     moment
	Processes *processes // nil: there are none to list
	Totals    *totals
	Sight     *sight

	Reaper *reaperContent // nil: there is none
}

// tile is a number that is seen at first glance.
type tile struct {
	Value, Label, Detail string
	Level                string // class: calm, high or critical
}

func (p *Page) content(r *report.Report, err error, by order) *content {
	o := &p.options
	c := &content{
		Host: report.Text(o.Host), Version: o.Version, Style: template.CSS(style), Links: o.Links, Documents: o.Documents, Again: by,
	}
	if o.Host == "" {
		c.Host = "this host"
	}
	now := o.Now()
	if err != nil {
		c.Failure = newFailure(err)
		c.Headline = "This host cannot be looked at"
	} else {
		c.look(r, by, now)
	}
	c.Title = c.Headline + " · " + c.Host + " · closewait_exporter"
	if o.Reaper != nil {
		c.Reaper = newReaperContent(o.Reaper(), now)
	}
	return c
}

// look fills in what a look at the host shows.
func (c *content) look(r *report.Report, by order, now time.Time) {
	c.Headline, c.Calm = headline(r)
	c.Sentences = r.Summary()
	c.Taken = newMoment(r.View.Taken, now)
	c.Totals, c.Sight = newTotals(r), newSight(r)
	if n := len(r.Ownerless()); n > 0 {
		c.Sentences = append(c.Sentences, "In no row below: "+number(n, "socket")+" without a known holder (closewait_exporter list --sockets shows them).")
	}
	if len(r.Listed) > 0 {
		c.Processes = newProcesses(r, by)
	}
}

// headline says in a few words what matters most.
func headline(r *report.Report) (words string, calm bool) {
	holds, what := "holds", "sockets in CLOSE_WAIT"
	if len(r.Listed) > 1 {
		holds = "hold"
	}
	if slices.ContainsFunc(r.Listed, onlyDefunct) {
		what += " or defunct"
	}
	switch {
	case len(r.Listed) > 0:
		return number(len(r.Listed), "process") + " " + holds + " " + what, false
	case len(r.Ownerless()) > 0, len(r.Unseen()) > 0:
		return "No process is known to leak", false
	case !r.View.AllDefunct:
		return "Nothing is known to leak here", true
	}
	return "Nothing leaks here", true
}

func onlyDefunct(h *closewait.Holder) bool { return h.Held.Len()+h.Unaccepted.Len() == 0 }

func number(n int, noun string) string {
	switch {
	case n == 1:
		return "1 " + noun
	case noun == "process":
		return strconv.Itoa(n) + " processes"
	}
	return strconv.Itoa(n) + " " + noun + "s"
}
