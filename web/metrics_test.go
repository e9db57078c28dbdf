package web

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

func TestAnOverlongScanIsAnsweredInTimeAsFailed(t *testing.T) {
	tests := []struct {
		name, timeout string
		want          time.Duration
	}{
		{"before a short scrape timeout", "1", 800 * time.Millisecond},
		{"before the usual scrape timeout", "10", 9500 * time.Millisecond},
		{"before the write timeout of the server, without a scrape timeout", "", writeTimeout - scrapeMargin},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(t, hung, nil)
				started := time.Now()
				answer := f.ask(http.MethodGet, "/metrics", scrapeTimeoutHeader+": "+test.timeout)
				if took := time.Since(started); took != test.want {
					t.Errorf("answered after %s, want %s", took, test.want)
				}
				if answer.Code != http.StatusOK || !strings.Contains(answer.Body.String(), successMetric+" 0\n") {
					t.Errorf("status %d without %s 0:\n%s", answer.Code, successMetric, answer.Body)
				}
			})
		})
	}
}

func TestMoreRequestsThanTheLimitAreRefused(t *testing.T) {
	tests := []struct {
		name            string
		limit, requests int
		want            map[int]int // status: answers
	}{
		{"the limit is met", 2, 2, map[int]int{200: 2}},
		{"one more than the limit", 2, 3, map[int]int{200: 2, 503: 1}},
		{"no limit", 0, 20, map[int]int{200: 20}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(t, hung, func(o *Options) { o.MaxRequests = test.limit })
				answers := make(chan *httptest.ResponseRecorder, test.requests)
				for range test.requests {
					go func() { answers <- f.ask(http.MethodGet, "/metrics") }()
				}
				got := map[int]int{}
				for range test.requests {
					answer := <-answers
					got[answer.Code]++
					if refused := answer.Code != http.StatusOK; refused != strings.Contains(answer.Body.String(), "--web.max-requests") {
						t.Errorf("status %d does not go with %q", answer.Code, answer.Body)
					}
				}
				for status, want := range test.want {
					if got[status] != want {
						t.Errorf("%d answers with status %d, want %d", got[status], status, want)
					}
				}
				if code := f.ask(http.MethodGet, "/metrics").Code; code != http.StatusOK {
					t.Errorf("status %d after all have ended, want 200: a slot was not released", code)
				}
			})
		})
	}
}

func TestTheScrapeEndsWhenTheScraperHangsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cause error
		f := newFixture(t, func(ctx context.Context) error {
			<-ctx.Done()
			cause = ctx.Err()
			return cause
		}, nil)
		ctx, hangUp := context.WithTimeout(t.Context(), time.Second)
		defer hangUp()
		request, _ := http.NewRequestWithContext(ctx, http.MethodGet, "/metrics", nil)
		started := time.Now()
		f.ServeHTTP(discard{}, request)
		if took := time.Since(started); took != time.Second || cause == nil {
			t.Errorf("the scrape went on for %s with %v, want 1s", took, cause)
		}
	})
}

func TestTheExportersOwnMetricsCanBeLeftOut(t *testing.T) {
	families := []string{"go_goroutines", "process_open_fds", "promhttp_metric_handler_requests_total", "promhttp_metric_handler_errors_total"}
	for _, without := range []bool{false, true} {
		f := newFixture(t, seen, func(o *Options) { o.WithoutExporterMetrics = without })
		body := f.ask(http.MethodGet, "/metrics").Body.String()
		for _, family := range families {
			if there := strings.Contains(body, "\n"+family); there == without {
				t.Errorf("without exporter metrics = %t: %s there = %t", without, family, there)
			}
		}
		if !strings.Contains(body, successMetric+" 1") {
			t.Errorf("without exporter metrics = %t: the metrics of the collector are missing", without)
		}
	}
}

func TestFormatAndEncodingAreThoseThatTheScraperAsksFor(t *testing.T) {
	f := newFixture(t, seen, nil)
	answer := f.ask(http.MethodGet, "/metrics", "Accept: application/openmetrics-text; version=1.0.0", "Accept-Encoding: gzip")
	if got := answer.Header().Get("Content-Type"); !strings.HasPrefix(got, "application/openmetrics-text; version=1.0.0") {
		t.Errorf("content type is %q", got)
	}
	plain, err := gzip.NewReader(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(plain)
	if err != nil || !strings.HasSuffix(string(text), "# EOF\n") {
		t.Errorf("error %v, and the text ends with %q", err, text[max(0, len(text)-20):])
	}
	if got := f.ask(http.MethodGet, "/metrics").Header().Get("Content-Type"); !strings.HasPrefix(got, "text/plain; version=0.0.4") {
		t.Errorf("content type is %q without an Accept header", got)
	}
}

func TestABadMetricIsLoggedAndTheRestIsServed(t *testing.T) {
	f := newFixture(t, seen, func(o *Options) {
		good := o.Gatherer
		o.Gatherer = func(ctx context.Context) prometheus.Gatherer {
			return prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
				families, _ := good(ctx).Gather()
				return families, errors.New("two series are the same")
			})
		}
	})
	answer := f.ask(http.MethodGet, "/metrics")
	if answer.Code != http.StatusOK || !strings.Contains(answer.Body.String(), successMetric+" 1") {
		t.Errorf("status %d:\n%s", answer.Code, answer.Body)
	}
	if !strings.Contains(f.log.String(), "two series are the same") {
		t.Errorf("the error is not in the log:\n%s", f.log.String())
	}
	if next := f.ask(http.MethodGet, "/metrics").Body.String(); !strings.Contains(next, `promhttp_metric_handler_errors_total{cause="gathering"} 1`) {
		t.Errorf("the error was not counted:\n%s", next)
	}
}

func TestAScraperThatHangsUpDoesNotFillTheLog(t *testing.T) {
	f := newFixture(t, seen, nil)
	f.ServeHTTP(hungUp{}, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if logged := f.log.String(); strings.Count(logged, "\n") != 1 || !strings.Contains(logged, "level=debug") {
		t.Errorf("want one debug line, got:\n%s", logged)
	}
}

// hungUp is a scraper that has closed the connection.
type hungUp struct{ discard }

func (hungUp) Write([]byte) (int, error) {
	return 0, &net.OpError{Op: "write", Net: "tcp", Err: os.NewSyscallError("write", syscall.EPIPE)}
}

// discard is a scraper that reads nothing.
type discard struct{}

func (discard) Header() http.Header         { return http.Header{} }
func (discard) Write(b []byte) (int, error) { return len(b), nil }
func (discard) WriteHeader(int)             {}
