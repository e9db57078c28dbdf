package web

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-kit/log"
	"github.com/prometheus/client_golang/prometheus"

	"closewait_exporter/closewait"
)

// successMetric is what the fake collector tells of a scan, as the true one does.
const successMetric = "closewait_scan_success"

// fakeCollector asks observe and publishes whether there was an answer.
func fakeCollector(observe Observe) func(context.Context) prometheus.Gatherer {
	return func(ctx context.Context) prometheus.Gatherer {
		success := prometheus.NewGauge(prometheus.GaugeOpts{Name: successMetric, Help: "Whether the scan succeeded."})
		if _, err := observe(ctx); err == nil {
			success.Set(1)
		}
		registry := prometheus.NewRegistry()
		registry.MustRegister(success)
		return registry
	}
}

// seen is an Observe that always succeeds.
func seen(context.Context) (*closewait.View, error) { return &closewait.View{}, nil }

// hung is an Observe that gives no answer while anyone waits.
func hung(ctx context.Context) (*closewait.View, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// fixture is a handler whose host is observed by a function.
type fixture struct {
	http.Handler
	log bytes.Buffer
}

func newFixture(t *testing.T, observe Observe, change func(*Options)) *fixture {
	t.Helper()
	f := &fixture{}
	logger := log.NewLogfmtLogger(log.NewSyncWriter(&f.log))
	health := NewHealth(observe, logger)
	options := Options{
		TelemetryPath: "/metrics",
		Gatherer:      fakeCollector(health.Observe),
		Health:        health,
		Logger:        logger,
	}
	if change != nil {
		change(&options)
	}
	handler, err := NewHandler(options)
	if err != nil {
		t.Fatal(err)
	}
	f.Handler = handler
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
