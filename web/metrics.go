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
	dto "github.com/prometheus/client_model/go"
)

// metrics answers scrapes. Each scrape has its own context, so it has its own gatherer.
type metrics struct {
	gatherer func(context.Context) prometheus.Gatherer
	own      *prometheus.Registry // metrics of the exporter itself
	options  promhttp.HandlerOpts
	logger   log.Logger
}

func newMetrics(o Options) http.Handler {
	m := &metrics{gatherer: o.Gatherer, own: prometheus.NewRegistry(), logger: o.Logger}
	m.options = promhttp.HandlerOpts{
		ErrorHandling:     promhttp.ContinueOnError, // the other metrics are correct, and the error is logged
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
	all := prometheus.Gatherers{prometheus.GathererFunc(m.gatherOwn), m.gatherer(ctx)}
	options := m.options
	options.ErrorLog = &scrapeLog{logger: m.logger}
	if acceptsOpenMetrics(r) {
		serveOpenMetrics(all, options).ServeHTTP(w, r)
		return
	}
	promhttp.HandlerFor(all, options).ServeHTTP(w, r)
}

// gatherOwn gathers the metrics of the exporter itself, without a gauge that has the name of a
// counter in OpenMetrics, where the name of a counter is without _total.
// go_memstats_heap_alloc_bytes has the same value.
func (m *metrics) gatherOwn() ([]*dto.MetricFamily, error) {
	families, err := m.own.Gather()
	return slices.DeleteFunc(families, func(f *dto.MetricFamily) bool { return f.GetName() == "go_memstats_alloc_bytes" }), err
}

// scrapeLog logs the errors of promhttp during one scrape.
type scrapeLog struct {
	logger log.Logger
	logged bool
}

// Println logs the first error of gathering, encoding or sending metrics. Once a connection is
// broken, there is one error per metric family. A scraper that hangs up must not fill the log.
func (l *scrapeLog) Println(v ...any) {
	if l.logged {
		return
	}
	l.logged = true
	if slices.ContainsFunc(v, isHangUp) {
		level.Debug(l.logger).Log("msg", "Scraper closed the connection", "err", fmt.Sprint(v...))
		return
	}
	level.Error(l.logger).Log("msg", "Scrape answered only in part", "err", fmt.Sprint(v...))
}

// isHangUp reports whether v is the error of a write to a closed connection.
func isHangUp(v any) bool {
	err, _ := v.(error)
	failed := new(net.OpError)
	return errors.As(err, &failed) && failed.Op == "write"
}
