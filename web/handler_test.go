package web

import (
	"net/http"
	"strings"
	"testing"
)

func TestPathsAnswerReadersOnly(t *testing.T) {
	tests := []struct {
		name, method, path string
		status             int
		body               string
	}{
		{"the page", http.MethodGet, "/", http.StatusOK, "who leaks"},
		{"HEAD of the page", http.MethodHead, "/", http.StatusOK, ""},
		{"a process", http.MethodGet, "/process?pid=7", http.StatusOK, "why"},
		{"a document", http.MethodGet, "/docs/RUNBOOK.md", http.StatusOK, "document /RUNBOOK.md"},
		{"a document in a directory", http.MethodGet, "/docs/decisions/a.md", http.StatusOK, "document /decisions/a.md"},
		{"the index of the documents", http.MethodGet, "/docs/", http.StatusOK, "document /"},
		{"POST to a document", http.MethodPost, "/docs/RUNBOOK.md", http.StatusMethodNotAllowed, ""},
		{"the API", http.MethodGet, "/api/v1/processes", http.StatusOK, "who leaks"},
		{"POST to the API", http.MethodPost, "/api/v1/processes", http.StatusMethodNotAllowed, ""},
		{"POST to the page", http.MethodPost, "/", http.StatusMethodNotAllowed, ""},
		{"metrics", http.MethodGet, "/metrics", http.StatusOK, successMetric + " 1"},
		{"healthy", http.MethodGet, "/-/healthy", http.StatusOK, "is healthy"},
		{"ready", http.MethodGet, "/-/ready", http.StatusOK, "is ready"},
		{"HEAD is reading", http.MethodHead, "/metrics", http.StatusOK, ""},
		{"an unknown path", http.MethodGet, "/debug/pprof/", http.StatusNotFound, ""},
		{"below the metrics", http.MethodGet, "/metrics/x", http.StatusNotFound, ""},
		{"POST to metrics", http.MethodPost, "/metrics", http.StatusMethodNotAllowed, ""},
		{"DELETE of the page", http.MethodDelete, "/", http.StatusMethodNotAllowed, ""},
		{"PUT to ready", http.MethodPut, "/-/ready", http.StatusMethodNotAllowed, ""},
	}
	f := newFixture(t, seen, nil)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			answer := f.ask(test.method, test.path)
			if answer.Code != test.status || !strings.Contains(answer.Body.String(), test.body) {
				t.Errorf("status %d and body %q, want %d and %q", answer.Code, answer.Body, test.status, test.body)
			}
		})
	}
}

func TestTheTelemetryPathCanBeMoved(t *testing.T) {
	f := newFixture(t, seen, func(o *Options) { o.TelemetryPath = "/close-wait/metrics" })
	tests := map[string]int{"/close-wait/metrics": http.StatusOK, "/metrics": http.StatusNotFound}
	for path, want := range tests {
		if answer := f.ask(http.MethodGet, path); answer.Code != want {
			t.Errorf("%s answers %d, want %d", path, answer.Code, want)
		}
	}
}

func TestTelemetryPathsThatCannotWorkAreRefusedWithAdvice(t *testing.T) {
	tests := map[string]string{ // path: part of the error, empty for a valid path
		"/metrics":          "",
		"/a/b.c_d-e~1":      "",
		"/":                 "taken",
		"/-/healthy":        "taken",
		"/-/ready":          "taken",
		"/api/v1/processes": "taken",
		"/process":          "taken",
		"":                  "does not begin with a slash",
		"metrics":           `use "/metrics"`,
		"/metrics/":         `use "/metrics"`,
		"//metrics":         `use "/metrics"`,
		"/a/../metrics":     `use "/metrics"`,
		"/{name}":           "escaping",
		"/a b":              "escaping",
		"/a?b":              "escaping",
		"/métriques":        "escaping",
		"/<script>":         "escaping",
	}
	for path, want := range tests {
		err := CheckTelemetryPath(path)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("CheckTelemetryPath(%q) = %v, want %q in it", path, err, want)
		}
	}
}

func TestOtherSitesCannotReload(t *testing.T) {
	tests := map[string]struct {
		header []string
		status int
	}{
		"curl":                                {nil, http.StatusOK},
		"a page of the exporter":              {[]string{"Sec-Fetch-Site: same-origin", "Origin: http://example.com"}, http.StatusOK},
		"the address bar":                     {[]string{"Sec-Fetch-Site: none"}, http.StatusOK},
		"another site":                        {[]string{"Sec-Fetch-Site: cross-site", "Origin: https://evil.example"}, http.StatusForbidden},
		"another host of the same site":       {[]string{"Sec-Fetch-Site: same-site", "Origin: http://shop.example.com"}, http.StatusForbidden},
		"another site, with an old browser":   {[]string{"Origin: https://evil.example"}, http.StatusForbidden},
		"another port, with an old browser":   {[]string{"Origin: http://example.com:8080"}, http.StatusForbidden},
		"a page without an origin (sandbox)":  {[]string{"Origin: null"}, http.StatusForbidden},
		"another site, and a forged old form": {[]string{"Sec-Fetch-Site: cross-site", "Content-Type: text/plain"}, http.StatusForbidden},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			reloads := 0
			f := newFixture(t, seen, func(o *Options) { o.Reload = func() error { reloads++; return nil } })
			answer := f.ask(http.MethodPost, "/-/reload", test.header...)
			if answer.Code != test.status || (reloads == 1) != (test.status == http.StatusOK) {
				t.Errorf("status %d after %d reloads, want %d", answer.Code, reloads, test.status)
			}
		})
	}
}
