package e2e

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"closewait_exporter/internal/leaktest"
)

var links = regexp.MustCompile(`href="([^"]+)"`)

// TestAllLinksWorkBehindAPathPrefix serves the exporter below a path, as `location /hosts/a/ {
// proxy_pass http://a:10052/; }` of nginx and the API server of Kubernetes do.
func TestAllLinksWorkBehindAPathPrefix(t *testing.T) {
	leaktest.RequireRoot(t)
	t.Parallel()
	const prefix = "/hosts/a/"
	l := leaktest.Start(t, "--sockets=3")
	e := serve(t)
	e.await(func(m metrics) (bool, string) { return m.sockets(l.PID) == 3, "not listed" })
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: "http", Host: e.address})
	}}
	mux := http.NewServeMux()
	mux.Handle(prefix, http.StripPrefix(strings.TrimSuffix(prefix, "/"), proxy))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)

	behind := e.in(t)
	behind.address = server.Listener.Addr().String()
	page := &url.URL{Scheme: "http", Host: behind.address, Path: prefix}
	_, text := behind.get(prefix)
	followed := map[string]bool{}
	for _, link := range links.FindAllStringSubmatch(text, -1) {
		target, err := page.Parse(strings.ReplaceAll(link[1], "&amp;", "&"))
		must(t, err)
		if target.Scheme != "http" || followed[target.String()] {
			continue
		}
		if status, _ := behind.get(target.RequestURI()); status != http.StatusOK {
			t.Errorf("the link %s leads to %s, which answers %d", link[1], target, status)
		}
		followed[target.String()] = true
	}
	for _, path := range []string{"metrics", "-/ready", "docs/RUNBOOK.md", "?sort=oldest&order=desc"} {
		if !followed[page.String()+path] {
			t.Errorf("the page has no link to %s, only to %v", path, followed)
		}
	}
}
