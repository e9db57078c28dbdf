package web

import (
	"context"
	"fmt"
	"net/http"

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
}

func newMetrics(o Options) http.Handler {
	m := &metrics{gatherer: o.Gatherer, own: prometheus.NewRegistry()}
	m.options = promhttp.HandlerOpts{
		ErrorLog:          gatherLog{o.Logger},
		ErrorHandling:     promhttp.ContinueOnError, // the rest is true, and the error is logged
		EnableOpenMetrics: true,
	}
	handler := limitRequests(o.MaxRequests, m)
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
	promhttp.HandlerFor(all, m.options).ServeHTTP(w, r)
}

// limitRequests lets at most so many requests in at the same time; 0 means no limit. The limit of
// promhttp is one of a handler, and here every scrape has its own.
func limitRequests(most int, next http.Handler) http.Handler {
	if most == 0 {
		return next
	}
	slots := make(chan struct{}, most)
	refusal := fmt.Sprintf("%d scrapes are being answered already, which is the limit of --web.max-requests.", most)
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

// gatherLog takes what promhttp has to say.
type gatherLog struct{ logger log.Logger }

// Println logs errors of gathering and encoding metrics.
func (l gatherLog) Println(v ...any) {
	level.Error(l.logger).Log("msg", "Scrape answered in part", "err", fmt.Sprint(v...))
}
