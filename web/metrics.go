package web

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics answers scrapes. Each has a context of its own, so each has a gatherer of its own.
type metrics struct {
	gatherer func(context.Context) prometheus.Gatherer
	own      *prometheus.Registry // metrics of the exporter itself
	options  promhttp.HandlerOpts
	logger   log.Logger
}

func newMetrics(o Options) http.Handler {
	m := &metrics{gatherer: o.Gatherer, own: prometheus.NewRegistry(), logger: o.Logger}
	m.options = promhttp.HandlerOpts{
		ErrorHandling:     promhttp.ContinueOnError, // the rest is true, and the error is logged
		EnableOpenMetrics: true,
	}
	handler := limitRequests(o.MaxRequests, "scrapes", m)
	if o.WithoutExporterMetrics {
		return handler
	}
	m.options.Registry = m.own
	m.own.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return promhttp.InstrumentMetricHandler(m.own, handler)
}

func (m *metrics) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), scrapeTime(r.Header))
	defer cancel()
	all := prometheus.Gatherers{m.own, m.gatherer(ctx)}
	options := m.options
	options.ErrorLog = &scrapeLog{logger: m.logger}
	promhttp.HandlerFor(all, options).ServeHTTP(w, r)
}

// limitRequests lets at most so many requests in at the same time; 0 means no limit. The limit of
// promhttp is one of a handler, and here every scrape has its own.
func limitRequests(most int, what string, next http.Handler) http.Handler {
	if most == 0 {
		return next
	}
	slots := make(chan struct{}, most)
	refusal := fmt.Sprintf("%d %s are being answered already, which is the limit of --web.max-requests.", most, what)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case slots <- struct{}{}:
			defer func() { <-slots }()
			next.ServeHTTP(w, r)
		default:
			http.Error(w, refusal, http.StatusServiceUnavailable)
		}
	})
}

// scrapeLog takes what promhttp has to say of one scrape.
type scrapeLog struct {
	logger log.Logger
	said   bool
}

// Println logs the first error of gathering, encoding or sending metrics: once a connection is broken,
// there is one for each metric family. That a scraper hangs up before the end is up to the scraper, and
// must not let it fill the log.
func (l *scrapeLog) Println(v ...any) {
	if l.said {
		return
	}
	l.said = true
	if slices.ContainsFunc(v, isHangUp) {
		level.Debug(l.logger).Log("msg", "Scraper has hung up", "err", fmt.Sprint(v...))
		return
	}
	level.Error(l.logger).Log("msg", "Scrape answered in part", "err", fmt.Sprint(v...))
}

// isHangUp tells whether v is the error of a connection that cannot be written to any more.
func isHangUp(v any) bool {
	err, _ := v.(error)
	failed := new(net.OpError)
	return errors.As(err, &failed) && failed.Op == "write"
}
