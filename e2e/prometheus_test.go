package e2e

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"closewait_exporter/internal/leaktest"
	"closewait_exporter/internal/promtest"
)

// TestPrometheusScrapesIt has a real Prometheus scrape the exporter in both text formats.
func TestPrometheusScrapesIt(t *testing.T) {
	leaktest.RequireRoot(t)
	t.Parallel()
	const sockets = 4
	l := leaktest.Start(t, "--sockets="+strconv.Itoa(sockets))
	e := serve(t)
	p := promtest.StartPrometheus(t, map[string][]string{"classic": {askingFor(t, "text/plain", e.address)}, "openmetrics": {askingFor(t, "application/openmetrics-text", e.address)}})

	for _, job := range []string{"classic", "openmetrics"} {
		t.Run(job, func(t *testing.T) {
			process := fmt.Sprintf(`{job="%s",pid="%d"}`, job, l.PID)
			p.Await(t, `closewait_process_sockets`+process, sockets, sockets)
			p.Await(t, `up{job="`+job+`"}`, 1, 1)
			p.Await(t, `closewait_scan_success{job="`+job+`"}`, 1, 1)
			p.Await(t, `sum by (pid) (closewait_process_sockets_by_unread`+process+`)`, sockets, sockets)
			p.Await(t, `closewait_process_sockets_entered_total`+process, sockets, sockets)
			age := p.Await(t, `closewait_process_oldest_socket_age_seconds`+process, 0, patience.Seconds())
			p.Await(t, `histogram_quantile(0.9, closewait_process_socket_age_seconds_bucket`+process+`)`, min(age, 1)/2, 60)
			p.Await(t, `closewait_process_socket_age_seconds_count`+process, sockets, sockets)
			p.Await(t, `closewait_process_socket_age_seconds_bucket`+strings.Replace(process, "}", `,le=~"300([.]0)?"}`, 1), sockets, sockets)
		})
	}
	t.Run("the examples of the documents are valid", func(t *testing.T) {
		for _, example := range examples(t) {
			values, err := p.Query(example)
			filters := strings.ContainsAny(example, "[<>=") && !strings.Contains(example, "=~") // what it asks for may not be there
			if err != nil || len(values) == 0 && !filters {
				t.Errorf("%s: %v, %v", example, values, err)
			}
		}
	})
}

// TestPromtoolHasNothingToSay lets promtool judge what a host with a leak shows.
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
	_, page := e.get("/metrics")
	check := exec.Command("promtool", "check", "metrics")
	check.Stdin = strings.NewReader(page)
	if said, err := check.CombinedOutput(); err != nil || len(said) > 0 {
		t.Errorf("promtool: %v\n%s", err, said)
	}
}

// askingFor is an address through which the exporter is scraped in a certain format only: Prometheus
// 2.42 cannot be told which to ask for.
func askingFor(t *testing.T, format, exporter string) (address string) {
	t.Helper()
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: "http", Host: exporter})
		r.Out.Header.Set("Accept", format)
	}, Transport: &http.Transport{DisableKeepAlives: true}, ErrorLog: log.New(io.Discard, "", 0)} // it logs scrapes that time out
	server := httptest.NewServer(proxy)
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// examples are the PromQL expressions of the documents: code blocks, and the table of the README that
// tells what to ask.
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
			t.Errorf("no examples in %s: they are looked for in the wrong way", document)
		}
	}
	return found
}
