package app

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"

	"closewait_exporter/report"
)

// report describes the host as of a View that scrapes share, with its history and the verdicts that
// are known.
func (s *server) report(ctx context.Context) (*report.Report, error) {
	view, err := s.observe(ctx)
	if err != nil {
		return nil, err
	}
	r := newReport(view, s.options.minAge, s.host.visibility())
	r.History, r.Verdicts = s.observer.history, s.verdicts.of(view, r.Listed)
	return r, nil
}

// serveProcesses answers with the JSON of list, or with an error and status 503.
func (s *server) serveProcesses(w http.ResponseWriter, request *http.Request) {
	header := w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cache-Control", "no-store") // old numbers must not be shown
	var body bytes.Buffer
	r, err := s.report(request.Context())
	if err == nil {
		r.Selection.Top = report.MaxSent
		err = r.JSON(&body, false)
	}
	if err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		_ = json.NewEncoder(w).Encode(apiError{err.Error()})
		return
	}
	_, _ = body.WriteTo(w)
}

// apiError is the answer of a request that failed.
type apiError struct {
	Error string `json:"error"`
}
