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

	"closewait_exporter/report"
	"closewait_exporter/reaper/status"
)

// Options are what a page is made of.
type Options struct {
	Host      string // name of this host; may be empty
	Version   string // of the program
	Links     []Link // to what else there is
	Documents string // path below which the documents are, with a slash at the end

	Report func(context.Context) (*report.Report, error) // of a look at the host that is young enough
	Reaper func() status.Status                        // nil: there is none
	Now    func() time.Time
}

// Link leads to another page of the exporter.
type Link struct {
	Text, Address, About string
}

// Page is a http.Handler.
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

// policy is the Content-Security-Policy: no script, whoever wrote it, nothing from elsewhere, no form,
// no frame, and no style but ours.
var policy = "default-src 'none'; style-src 'sha256-" + hash(style) + "'; img-src data:; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// ServeHTTP answers with what a look at the host shows or, with status 503, with why there is none.
// It waits for as long as the context of the request allows.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	order := orderOf(r.URL.Query())
	shown, err := p.options.Report(r.Context())
	var out bytes.Buffer
	if err := templates.ExecuteTemplate(&out, "page.html", p.content(shown, err, order)); err != nil {
		http.Error(w, "the page cannot be written: "+err.Error(), http.StatusInternalServerError)
		return
	}
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Security-Policy", policy)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cache-Control", "no-store") // old numbers are never shown
	if err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_, _ = out.WriteTo(w)
}
