package web

import (
	"bytes"
	"net/http"
	"strings"

	"github.com/klauspost/compress/gzhttp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/common/expfmt"
)

// serveOpenMetrics answers a scrape in OpenMetrics text. It is compressed after it was corrected.
func serveOpenMetrics(g prometheus.Gatherer, options promhttp.HandlerOpts) http.Handler {
	options.DisableCompression = true
	answer := promhttp.HandlerFor(g, options)
	return gzhttp.GzipHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer.ServeHTTP(&openMetricsWriter{ResponseWriter: w}, r)
	}))
}

// acceptsOpenMetrics reports whether promhttp answers a request in OpenMetrics text.
func acceptsOpenMetrics(r *http.Request) bool {
	format := expfmt.NegotiateAccept(r.Header, expfmt.DefaultOpenMetricsAcceptedFormats()...)
	return format.FormatType() == expfmt.TypeOpenMetrics
}

// openMetricsWriter corrects the names in OpenMetrics text. expfmt gives the sum and the count of a
// gauge histogram the suffixes that a histogram has (prometheus/common v0.72.1,
// openmetrics_create.go). OpenMetrics 1.0 wants _gsum and _gcount, and strict readers refuse the
// whole scrape otherwise.
type openMetricsWriter struct {
	http.ResponseWriter
	gauge string // the gauge histogram whose samples come, empty for families of other types
	rest  []byte // the beginning of a line whose end has not been written yet
}

// Write passes complete lines on.
func (w *openMetricsWriter) Write(text []byte) (int, error) {
	w.rest = append(w.rest, text...)
	end := bytes.LastIndexByte(w.rest, '\n') + 1
	var corrected bytes.Buffer
	for line := range strings.Lines(string(w.rest[:end])) {
		corrected.WriteString(w.correct(line))
	}
	w.rest = append(w.rest[:0], w.rest[end:]...)
	if _, err := w.ResponseWriter.Write(corrected.Bytes()); err != nil {
		return 0, err
	}
	return len(text), nil
}

func (w *openMetricsWriter) correct(line string) string {
	if metadata, found := strings.CutPrefix(line, "# TYPE "); found {
		name, kind, _ := strings.Cut(strings.TrimSpace(metadata), " ")
		w.gauge = ""
		if kind == "gaugehistogram" {
			w.gauge = name
		}
		return line
	}
	suffix, found := strings.CutPrefix(line, w.gauge+"_")
	if w.gauge == "" || !found || !strings.HasPrefix(suffix, "sum") && !strings.HasPrefix(suffix, "count") {
		return line
	}
	return w.gauge + "_g" + suffix
}
