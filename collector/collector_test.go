package collector

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"go.uber.org/goleak"

	"closewait_exporter/closewait"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	classicText = "text/plain;version=0.0.4"
	openMetrics = "application/openmetrics-text;version=1.0.0"
	protobuf    = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
)

// scrape requests the metrics of g from a handler like the one of the exporter.
func scrape(t testing.TB, g prometheus.Gatherer, accept string) *http.Response {
	t.Helper()
	request := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	request.Header.Set("Accept", accept)
	recorder := httptest.NewRecorder()
	promhttp.HandlerFor(g, promhttp.HandlerOpts{EnableOpenMetrics: true}).ServeHTTP(recorder, request)
	if recorder.Code != http.StatusOK {
		t.Fatalf("status %d: %s", recorder.Code, recorder.Body)
	}
	return recorder.Result()
}

func body(t testing.TB, r *http.Response) []byte {
	t.Helper()
	var b bytes.Buffer
	if _, err := b.ReadFrom(r.Body); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// families returns the metrics that a server reads in the given format.
func families(t testing.TB, g prometheus.Gatherer, accept string) map[string]*dto.MetricFamily {
	t.Helper()
	response := scrape(t, g, accept)
	decoder := expfmt.NewDecoder(response.Body, expfmt.ResponseFormat(response.Header))
	byName := map[string]*dto.MetricFamily{}
	for {
		var f dto.MetricFamily
		switch err := decoder.Decode(&f); {
		case errors.Is(err, io.EOF):
			return byName
		case err != nil:
			t.Fatalf("%s cannot be read: %v", accept, err)
		}
		byName[f.GetName()] = &f
	}
}

var failures = map[string]func(context.Context) (*closewait.View, error){
	"failed": func(context.Context) (*closewait.View, error) { return nil, errors.New("no socket table") },
	"overlong": func(ctx context.Context) (*closewait.View, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	},
}

func TestGoldenScrapes(t *testing.T) {
	for name, test := range map[string]struct {
		accept string
		change func(*Options)
	}{
		"rich":             {classicText, func(*Options) {}},
		"rich.openmetrics": {openMetrics, func(*Options) {}},
		"grouped":          {classicText, func(o *Options) { o.PIDLabel, o.MaxServices = false, 10 }},
		"quiet":            {classicText, func(o *Options) { o.MinAge = time.Hour * 24 * 365 }},
		"failed":           {classicText, func(o *Options) { o.Observe = failures["failed"] }},
		"overlong":         {classicText, func(o *Options) { o.Observe = failures["overlong"] }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := options(richView())
				test.change(&o)
				ctx, cancel := context.WithTimeout(t.Context(), 9500*time.Millisecond)
				defer cancel()
				compareGolden(t, name+".metrics", body(t, scrape(t, New(o).Gatherer(ctx), test.accept)))
			})
		})
	}
}

// buildInfo matches the line that depends on the build.
var buildInfo = regexp.MustCompile(`(?m)^closewait_exporter_build_info\{.*\} 1(\.0)?$`)

func compareGolden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	got = buildInfo.ReplaceAll(got, []byte(`closewait_exporter_build_info{...} 1$1`))
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; go test ./collector -update writes it", err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s\ngo test ./collector -update accepts it", path, diff)
	}
}

func TestAgesAreAGaugeHistogramWhereTheFormatKnowsOne(t *testing.T) {
	const ages = "closewait_process_socket_age_seconds"
	g := New(options(richView())).Gatherer(t.Context())
	for accept, want := range map[string]dto.MetricType{
		protobuf:    dto.MetricType_GAUGE_HISTOGRAM,
		classicText: dto.MetricType_HISTOGRAM,
	} {
		f := families(t, g, accept)
		if got := f[ages].GetType(); got != want {
			t.Errorf("%s: type of %s is %v, want %v", accept, ages, got, want)
		}
		if got := f["closewait_socket_duration_seconds"].GetType(); got != dto.MetricType_HISTOGRAM {
			t.Errorf("%s: type of the durations is %v", accept, got)
		}
	}
	if text := body(t, scrape(t, g, openMetrics)); !bytes.Contains(text, []byte("# TYPE "+ages+" gaugehistogram\n")) {
		t.Errorf("OpenMetrics has no gauge histogram")
	}
}

func TestTheGathererJoinsWithThoseOfTheExporterItself(t *testing.T) {
	own := prometheus.NewPedanticRegistry()
	own.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	c := New(options(richView()))
	for _, accept := range []string{classicText, protobuf} {
		f := families(t, prometheus.Gatherers{own, c.Gatherer(t.Context())}, accept)
		if f["go_goroutines"] == nil || f["closewait_sockets"] == nil {
			t.Errorf("%s: only %d families", accept, len(f))
		}
		if got := len(f["closewait_process_socket_age_seconds"].GetMetric()); got != 4 {
			t.Errorf("%s: ages of %d processes, want 4", accept, got)
		}
	}
}

// promtool checks a scrape with promtool check metrics.
func promtool(t testing.TB, text []byte) {
	t.Helper()
	path, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("no promtool (Debian: apt-get install prometheus)")
	}
	check := exec.Command(path, "check", "metrics")
	check.Stdin = bytes.NewReader(text)
	if out, err := check.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
}

func TestPromtoolHasNoObjection(t *testing.T) {
	for _, pidLabel := range []bool{true, false} {
		o := options(richView())
		o.PIDLabel = pidLabel
		promtool(t, body(t, scrape(t, New(o).Gatherer(t.Context()), classicText)))
	}
	o := options(nil)
	o.Observe = failures["failed"]
	promtool(t, body(t, scrape(t, New(o).Gatherer(t.Context()), classicText)))
}
