package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
)

// Health knows whether a scan has succeeded yet, and logs when scans begin to fail and when they
// succeed again. Who observes the host tells it the outcome.
type Health struct {
	logger log.Logger

	mu      sync.Mutex
	ready   bool
	failure error // of the last scan; nil when it succeeded
}

// errNoScanYet is why the exporter is not ready before anything has happened.
var errNoScanYet = errors.New("no scan has ended yet")

// NewHealth returns the Health of an exporter that has not scanned yet.
func NewHealth(logger log.Logger) *Health {
	return &Health{logger: logger, failure: errNoScanYet}
}

// Note takes in how an observation ended: with the error of the scan, with that of a context that
// ended first, or with success.
func (h *Health) Note(err error) {
	switch {
	case errors.Is(err, context.Canceled): // who asked has gone: that says nothing of the scan
	case errors.Is(err, context.DeadlineExceeded):
		h.note(fmt.Errorf("a scan takes longer than may be waited for it: %w", err))
	default:
		h.note(err)
	}
}

// note logs changes only: a host where no scan succeeds is scraped several times a minute.
func (h *Health) note(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	failed := h.failure != nil && !errors.Is(h.failure, errNoScanYet)
	h.ready = h.ready || err == nil
	h.failure = err
	switch {
	case err != nil && !failed:
		level.Error(h.logger).Log("msg", "Scan failed; metrics of sockets and processes are missing until one succeeds", "err", err)
	case err == nil && failed:
		level.Info(h.logger).Log("msg", "Scans succeed again")
	}
}

// notReady tells why the exporter is not ready, nil when it is. Once it was, it stays so: a failed
// scan is told by the metrics, which must then be reachable.
func (h *Health) notReady() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ready {
		return nil
	}
	return h.failure
}

// probePatience is how long a probe waits for a scan: those of Kubernetes give up after a second.
const probePatience = 800 * time.Millisecond

// serveReady answers 200 after the first successful scan. While there was none, a probe is a reason
// to probe: without it a host that is not scraped would never become ready after a failure.
func serveReady(health *Health, probe func(context.Context) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if health.notReady() != nil {
			ctx, cancel := context.WithTimeout(r.Context(), probePatience)
			defer cancel()
			_ = probe(ctx) // its outcome is noted, if it comes in time
		}
		if err := health.notReady(); err != nil {
			http.Error(w, fmt.Sprintf("closewait_exporter is not ready: %v", err), http.StatusServiceUnavailable)
			return
		}
		_, _ = io.WriteString(w, "closewait_exporter is ready.\n")
	}
}

// serveHealthy answers 200 as long as the exporter answers at all.
func serveHealthy(w http.ResponseWriter, _ *http.Request) {
	_, _ = io.WriteString(w, "closewait_exporter is healthy.\n")
}
