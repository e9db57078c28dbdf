package page

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/report"
)

// maxSockets is the maximum number of sockets on the page of a process.
const maxSockets = 500

// processContent is what the template of the page of a process shows.
type processContent struct {
	frame
	Headline   string
	Failure    *failure // nil: the scan succeeded
	Missing    bool     // the process is not listed, and the fields below are not set
	Taken      timestamp
	Address    string // of this page
	Refreshing string // address of the page that refreshes itself, or that does not
	Dashboard  string // address of the dashboard with the group of the process; empty: there is none

	Row       *process
	Identity  []fact
	Sockets   []fact // numbers
	Trend     []fact
	Again     string // that it has leaked before a restart too; empty: it has not, as far as is known
	Commands  []command
	Lines     []report.SocketLine
	Omitted   int
	Decisions []entryContent // of the reaper, about this process
	Actions   []entryContent
}

// LineHeadings are the headings of the table of sockets.
func (c *processContent) LineHeadings() []string {
	return []string{"State", "Local", "Remote", "Service", "Age", "Quiet", "Unread", "Receive queue", "Send queue", "Timer"}
}

// command is a command to paste.
type command struct {
	Line, About string
}

// processAddress is the address of the page of a process, relative to the main page.
func processAddress(pid, refresh int) string {
	address := "process?pid=" + strconv.Itoa(pid)
	if refresh > 0 {
		address += "&refresh=" + strconv.Itoa(refresh)
	}
	return address
}

// ServeProcess answers with the page of the process of the parameter pid. The status is 404 if it
// is not listed, and 503 if there are no results of a scan.
func (p *Page) ServeProcess(w http.ResponseWriter, r *http.Request) {
	shown, err := p.options.Report(r.Context())
	pid, _ := strconv.Atoi(r.URL.Query().Get("pid")) // 0, which no process has, if it is not a number
	refresh := refreshOf(r.URL.Query())
	c := &processContent{frame: newFrame(&p.options), Address: processAddress(pid, refresh), Refreshing: processAddress(pid, toggled(refresh))}
	c.Refresh = refresh
	status := http.StatusOK
	switch holder := listed(shown, err, pid); {
	case err != nil:
		status = http.StatusServiceUnavailable
		c.Headline, c.Failure = "The scan failed", newFailure(err)
	case holder == nil:
		status = http.StatusNotFound
		c.Headline, c.Missing = missing(pid), true
	default:
		p.describe(c, shown, holder)
	}
	c.Title = c.Headline + " · " + c.Host + " · closewait_exporter"
	respond(w, status, "process.html", c)
}

// missing is the headline if there is nothing to show about a pid.
func missing(pid int) string {
	if pid <= 0 {
		return "No process has this pid"
	}
	return "No listed process " + strconv.Itoa(pid)
}

// listed returns the holder with a pid, nil if there is none.
func listed(r *report.Report, err error, pid int) *closewait.Holder {
	if err != nil {
		return nil
	}
	i := slices.IndexFunc(r.Listed, func(h *closewait.Holder) bool { return h.ID.PID == pid })
	if i < 0 {
		return nil
	}
	return r.Listed[i]
}

// describe fills in the content about a process.
func (p *Page) describe(c *processContent, r *report.Report, h *closewait.Holder) {
	row := r.Row(h)
	now := p.options.Now()
	c.Row = newProcess(&row, r, row.Ages.Len(), query{})
	c.Headline = row.Comm + " " + row.PID
	c.Taken = newTimestamp(r.View.Taken, now)
	c.Dashboard = dashboardOf(p.options.Dashboard, h.Group())
	c.Identity, c.Sockets, c.Trend = identity(h, now), socketFacts(&row), trendFacts(&row)
	c.Again = report.LeaksAgain(r.History, h)
	c.Commands = commands(row.PID, p.options.Reaper != nil)
	c.Lines = report.SocketsOf(h, r.View.Taken, maxSockets)
	c.Omitted = h.Ended.Len() + h.Unaccepted.Len() + h.Other.Len() - len(c.Lines)
	if p.options.Reaper == nil {
		return
	}
	status := p.options.Reaper()
	for _, e := range status.Decisions {
		if e.PID == h.ID.PID {
			c.Decisions = append(c.Decisions, newEntry(e, now))
		}
	}
	for _, e := range status.Actions {
		if e.PID == h.ID.PID {
			c.Actions = append(c.Actions, newEntry(e, now))
		}
	}
}

// identity says which process it is. What is not known is left out.
func identity(h *closewait.Holder, now time.Time) []fact {
	facts := []fact{{"Group", report.Text(h.Group())}, {"Process", strconv.Itoa(h.ID.PID) + " " + report.Text(h.Comm)}}
	for _, f := range []fact{{"Program", h.Exe}, {"User", h.User}, {"Unit", h.Unit}, {"Container", h.Container}, {"Pod", h.Pod}} {
		if f.Value != "" {
			facts = append(facts, fact{f.Name, report.Text(f.Value)})
		}
	}
	if !h.StartTime.IsZero() {
		facts = append(facts, fact{"Started", newTimestamp(h.StartTime, now).Text + " UTC, " + report.Duration(now.Sub(h.StartTime)) + " ago"})
	}
	return facts
}

// socketFacts count the sockets of a process by what is known about them.
func socketFacts(row *report.Row) []fact {
	return []fact{
		{"Ended connections", row.Sockets}, {"of them closed", row.Closed}, {"Unaccepted", row.Unaccepted}, {"Other", row.Other},
		{"Unread bytes", row.Unread}, {"Oldest", row.Oldest}, {"Service", row.Service}, {"Remote", row.Remote},
	}
}

// trendFacts are the growth of the leak and the time that is left.
func trendFacts(row *report.Row) []fact {
	over := "-"
	if row.Trend.Sockets.Over > 0 {
		over = report.Duration(row.Trend.Sockets.Over)
	}
	return []fact{{"Rate", row.Rate}, {"Until the descriptors run out", row.Left}, {"Measured over", over}}
}

// commands are the commands that show more about a process. A pid is the only part that differs, so
// nothing that a process chooses is in them.
func commands(pid string, reaper bool) []command {
	all := []command{
		{"sudo closewait_exporter diagnose " + pid, "why it does not close its connections"},
		{"sudo closewait_exporter origin " + pid, "which code makes the sockets that leak, by a trace of a minute"},
		{"sudo closewait_exporter evidence " + pid + " --output-file=evidence-" + pid + ".json", "save what is known about it, before it is restarted"},
		{"sudo closewait_exporter list --watch --pid=" + pid, "whether the leak grows now"},
		{"sudo closewait_exporter list --sockets --pid=" + pid, "each socket with all fields"},
		{"sudo nsenter --target=" + pid + " --net ss -tanpo state close-wait", "its network namespace, as ss shows it"},
		{"sudo ls -l /proc/" + pid + "/fd", "all of its descriptors"},
	}
	if reaper {
		all = append(all, command{"sudo closewait_exporter explain --reaper.config=FILE", "which rule applies to it, with the rules file of the exporter"})
	}
	return all
}

// dashboardOf is the address of the dashboard for a group.
func dashboardOf(dashboard, group string) string {
	u, err := url.Parse(dashboard)
	if err != nil || dashboard == "" {
		return ""
	}
	values := u.Query()
	values.Set("var-group", group)
	u.RawQuery = values.Encode()
	return u.String()
}
