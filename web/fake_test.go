package web

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-kit/log"
	"github.com/prometheus/client_golang/prometheus"
)

// successMetric is the metric of the fake collector.
const successMetric = "closewait_scan_success"

// probe observes the host and returns the error.
type probe func(context.Context) error

// fakeCollector observes the host and exports whether that succeeded.
func fakeCollector(probe probe) func(context.Context) prometheus.Gatherer {
	return func(ctx context.Context) prometheus.Gatherer {
		success := prometheus.NewGauge(prometheus.GaugeOpts{Name: successMetric, Help: "Whether the scan succeeded."})
		if probe(ctx) == nil {
			success.Set(1)
		}
		registry := prometheus.NewRegistry()
		registry.MustRegister(success)
		return registry
	}
}

// fakePage observes the host and answers with a text or the error.
func fakePage(probe probe, text string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := probe(r.Context()); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		_, _ = io.WriteString(w, text)
	})
}

// seen always succeeds.
func seen(context.Context) error { return nil }

// hung does not return before its context ends.
func hung(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

// fixture is a handler with a fake host.
type fixture struct {
	http.Handler
	log bytes.Buffer
}

func newFixture(t *testing.T, host probe, change func(*Options)) *fixture {
	t.Helper()
	f := &fixture{}
	logger := log.NewLogfmtLogger(log.NewSyncWriter(&f.log))
	health := NewHealth(logger)
	recorded := func(ctx context.Context) error {
		err := host(ctx)
		health.Record(err)
		return err
	}
	options := Options{
		Page:          fakePage(recorded, "who leaks"),
		Process:       fakePage(recorded, "why"),
		API:           fakePage(recorded, "who leaks"),
		Documents:     http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "document "+r.URL.Path) }),
		TelemetryPath: "/metrics",
		Gatherer:      fakeCollector(recorded),
		Probe:         recorded,
		Health:        health,
		Logger:        logger,
	}
	if change != nil {
		change(&options)
	}
	f.Handler = NewHandler(options)
	return f
}

// ask sends a request with header lines of the form "Name: value".
func (f *fixture) ask(method, path string, header ...string) *httptest.ResponseRecorder {
	request := httptest.NewRequest(method, path, nil)
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		request.Header.Set(name, value)
	}
	answer := httptest.NewRecorder()
	f.ServeHTTP(answer, request)
	return answer
}
