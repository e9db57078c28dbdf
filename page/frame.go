package page

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"html/template"
	"net/http"
	"strings"

	"closewait_exporter/report"
)

// frame is what all pages have in common.
type frame struct {
	Title         string
	Host, Version string
	Style         template.CSS
	Links         []Link
	Root          string // relative address of the main page, with a slash at the end
	Documents     string // relative address of the documents, with a slash at the end
	Refresh       int    // seconds after which a browser loads the page again; 0: it does not
}

// newFrame is the frame of the pages beside the main page.
func newFrame(o *Options) frame {
	f := frame{Host: report.Text(o.Host), Version: o.Version, Style: template.CSS(style), Links: o.Links, Root: "./", Documents: o.Documents}
	if o.Host == "" {
		f.Host = "this host"
	}
	return f
}

// below is the frame of the pages that are a number of directories below the main page.
func (f frame) below(depth int) frame {
	f.Root = strings.Repeat("../", depth)
	f.Documents = f.Root + f.Documents
	links := make([]Link, len(f.Links))
	for i, l := range f.Links {
		links[i] = Link{l.Text, f.Root + l.Address, l.About}
	}
	f.Links = links
	return f
}

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

// respond answers with a page.
func respond(w http.ResponseWriter, status int, name string, content any) {
	var out bytes.Buffer
	if err := templates.ExecuteTemplate(&out, name, content); err != nil {
		http.Error(w, "cannot render the page: "+err.Error(), http.StatusInternalServerError)
		return
	}
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Security-Policy", policy)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cache-Control", "no-store") // old numbers must not be shown
	w.WriteHeader(status)
	_, _ = out.WriteTo(w)
}
