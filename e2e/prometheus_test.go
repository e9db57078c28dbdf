package e2e

import (
	"fmt"
	"io"
	"log"
	"math"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"closewait_exporter/internal/leaktest"
	"closewait_exporter/internal/promtest"
)

// TestPrometheusScrapesIt runs a real Prometheus that scrapes the exporter in both text formats.
func TestPrometheusScrapesIt(t *testing.T) {
	leaktest.RequireRoot(t)
	t.Parallel()
	const sockets = 4
	started := time.Now()
	l := leaktest.Start(t, "--sockets="+strconv.Itoa(sockets))
	e := serve(t)
	p := promtest.StartPrometheus(t, map[string][]string{"classic": {startFormatProxy(t, "text/plain", e.address)}, "openmetrics": {startFormatProxy(t, "application/openmetrics-text", e.address)}})

	for _, job := range []string{"classic", "openmetrics"} {
		t.Run(job, func(t *testing.T) {
			process := fmt.Sprintf(`{job="%s",pid="%d"}`, job, l.PID)
			p.Await(t, `sum(closewait_process_sockets`+process+`)`, sockets, sockets)
			p.Await(t, `up{job="`+job+`"}`, 1, 1)
			p.Await(t, `closewait_scan_success{job="`+job+`"}`, 1, 1)
			p.Await(t, `sum by (pid) (closewait_process_sockets_by_unread`+process+`)`, sockets, sockets)
			p.Await(t, `closewait_process_sockets_entered_total`+process, sockets, sockets)
			age := p.Await(t, `closewait_process_oldest_socket_age_seconds`+process, 0, math.Inf(1))
			if most := time.Since(started).Seconds(); age > most {
				t.Errorf("the oldest socket is %v s old, want at most %v: it did not exist before", age, most)
			}
			p.Await(t, `histogram_quantile(0.9, closewait_process_socket_age_seconds_bucket`+process+`)`, min(age, 1)/2, 60)
			p.Await(t, `closewait_process_socket_age_seconds_bucket`+strings.Replace(process, "}", `,le="+Inf"}`, 1), sockets, sockets)
			p.Await(t, `closewait_process_socket_age_seconds_bucket`+strings.Replace(process, "}", `,le=~"300([.]0)?"}`, 1), sockets, sockets)
		})
	}
	t.Run("the examples of the documents are valid", func(t *testing.T) {
		for _, example := range examples(t) {
			values, err := p.Query(example)
			filters := strings.ContainsAny(example, "[<>=") && !strings.Contains(example, "=~") // which may match nothing
			if err != nil || len(values) == 0 && !filters {
				t.Errorf("%s: %v, %v", example, values, err)
			}
		}
	})
}

// TestPromtoolHasNothingToSay checks the metrics of a host with a leak with promtool.
func TestPromtoolHasNothingToSay(t *testing.T) {
	leaktest.RequireRoot(t)
	leaktest.RequireProgram(t, "promtool")
	t.Parallel()
	l := leaktest.Start(t, "--sockets=2", "--outbound=1", "--unaccepted=1")
	e := serve(t)
	e.await(func(m metrics) (bool, string) { return m.sockets(l.PID) == 3, "not listed" })
	requireCleanPage(t, e)
}

func requireCleanPage(t *testing.T, e *exporter) {
	t.Helper()
	_, page := e.in(t).get("/metrics")
	check := exec.Command("promtool", "check", "metrics")
	check.Stdin = strings.NewReader(page)
	if output, err := check.CombinedOutput(); err != nil || len(output) > 0 {
		t.Errorf("promtool: %v\n%s", err, output)
	}
}

// startFormatProxy starts a proxy through which the exporter is scraped in one format: Prometheus
// 2.42 has no setting for it.
func startFormatProxy(t *testing.T, format, exporter string) (address string) {
	t.Helper()
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: "http", Host: exporter})
		r.Out.Header.Set("Accept", format)
	}, Transport: &http.Transport{DisableKeepAlives: true}, ErrorLog: log.New(io.Discard, "", 0)} // it logs scrapes that time out
	server := httptest.NewServer(proxy)
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// examples returns the PromQL expressions of the documents, from code blocks and from the table of
// queries in the README.
func examples(t *testing.T) []string {
	t.Helper()
	block := regexp.MustCompile("(?s)```promql\n(.*?)```")
	row := regexp.MustCompile("(?m)^\\| [a-z ,]+ \\| `(.*closewait_.*)` \\|$")
	var found []string
	for _, document := range []string{"../README.md", "../docs/METRICS.md"} {
		text := string(read(t, document))
		before := len(found)
		for _, match := range block.FindAllStringSubmatch(text, -1) {
			found = append(found, strings.Split(strings.TrimSpace(match[1]), "\n")...)
		}
		for _, match := range row.FindAllStringSubmatch(text, -1) {
			found = append(found, match[1])
		}
		if len(found) == before {
			t.Errorf("no examples in %s: the patterns of this test do not match", document)
		}
	}
	return found
}
