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

// Health records whether a scan has succeeded yet, and logs when scans begin to fail and when they
// succeed again. Every observation of the host reports its result here.
type Health struct {
	logger log.Logger

	mu      sync.Mutex
	ready   bool
	failure error // of the last scan; nil when it succeeded
}

// errNoScanYet is the reason why the exporter is not ready before the first scan.
var errNoScanYet = errors.New("no scan has finished yet")

// NewHealth returns the Health of an exporter that has not scanned yet.
func NewHealth(logger log.Logger) *Health {
	return &Health{logger: logger, failure: errNoScanYet}
}

// Record records the result of an observation: nil, the error of the scan, or the error of a
// context that ended first.
func (h *Health) Record(err error) {
	switch {
	case errors.Is(err, context.Canceled): // the caller has gone, which says nothing about the scan
	case errors.Is(err, context.DeadlineExceeded):
		h.record(fmt.Errorf("scan timed out and continues: %w", err))
	default:
		h.record(err)
	}
}

// record logs only changes, because a host is scraped several times a minute.
func (h *Health) record(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	failed := h.failure != nil && !errors.Is(h.failure, errNoScanYet)
	h.ready = h.ready || err == nil
	h.failure = err
	switch {
	case err != nil && !failed:
		level.Error(h.logger).Log("msg", "Scan failed, host and process metrics are absent until a scan succeeds", "err", err)
	case err == nil && failed:
		level.Info(h.logger).Log("msg", "Scans succeed again")
	}
}

// notReady returns why the exporter is not ready, or nil. Once ready it stays ready: metrics report
// failed scans, and must be reachable then.
func (h *Health) notReady() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ready {
		return nil
	}
	return h.failure
}

// probeTimeout is how long a probe waits for a scan. Kubernetes gives up after one second by
// default.
const probeTimeout = 800 * time.Millisecond

// serveReady answers 200 after the first successful scan. Until then each probe scans. Otherwise
// a host that is not scraped would never become ready after a failure.
func serveReady(health *Health, probe func(context.Context) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if health.notReady() != nil {
			ctx, cancel := context.WithTimeout(r.Context(), probeTimeout)
			defer cancel()
			_ = probe(ctx) // it records the result
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
