package page

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"html/template"
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

	Report func(context.Context) (*report.Report, error) // of a recent scan
	Reaper func() status.Status                          // nil: there is no reaper
	Now    func() time.Time
}

// Link is a link to another page of the exporter. The address is relative to the page.
type Link struct {
	Text, Address, About string
}

// Page is the http.Handler of the page.
type Page struct {
	options Options
}

// New returns a Page.
func New(o Options) *Page { return &Page{options: o} }

var (
	//go:embed templates/*.html
	files     embed.FS
	templates = template.Must(template.ParseFS(files, "templates/*.html"))

	//go:embed style.css
	style string
)

// policy is the Content-Security-Policy: no scripts, nothing from other servers, no forms, no
// frames, and only our own style sheet.
var policy = "default-src 'none'; style-src 'sha256-" + hash(style) + "'; img-src data:; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// ServeHTTP answers with the results of a scan or, with status 503, with the reason why there are
// none. It waits as long as the context of the request allows.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	order := orderOf(r.URL.Query())
	shown, err := p.options.Report(r.Context())
	var out bytes.Buffer
	if err := templates.ExecuteTemplate(&out, "page.html", p.content(shown, err, order)); err != nil {
		http.Error(w, "cannot render the page: "+err.Error(), http.StatusInternalServerError)
		return
	}
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Security-Policy", policy)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cache-Control", "no-store") // old numbers must not be shown
	if err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_, _ = out.WriteTo(w)
}
