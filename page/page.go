package page

import (
	"context"
	"net/http"
	"time"

	"closewait_exporter/reaper/status"
	"closewait_exporter/report"
)

// Options of a Page.
type Options struct {
	Host      string // name of this host; may be empty
	Version   string // of the program
	Links     []Link // to the other pages of the exporter
	Documents string // address of the documents relative to the page, with a slash at the end
	Dashboard string // address of the Grafana dashboard; empty: there is none

	Report func(context.Context) (*report.Report, error) // of a recent scan
	Reaper func() status.Status                          // nil: there is no reaper
	Now    func() time.Time
}

// Link is a link to another page of the exporter. The address is relative to the page.
type Link struct {
	Text, Address, About string
}

// Page is the http.Handler of the page of the host. ServeProcess answers with the page of a
// process.
type Page struct {
	options Options
}

// New returns a Page.
func New(o Options) *Page { return &Page{options: o} }

// ServeHTTP answers with the results of a scan or, with status 503, with the reason why there are
// none. It waits as long as the context of the request allows.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	shown, err := p.options.Report(r.Context())
	status := http.StatusOK
	if err != nil {
		status = http.StatusServiceUnavailable
	}
	respond(w, status, "page.html", p.content(shown, err, queryOf(r.URL.Query())))
}
