package e2e

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"closewait_exporter/internal/leaktest"
)

// TestOddRequestsAreAnswered sends what people, scanners and attackers send. The exporter listens
// on IPv6.
func TestOddRequestsAreAnswered(t *testing.T) {
	leaktest.RequireRoot(t)
	e := start(t, exec.Command(program(t), "--web.listen-address=[::1]:0"))
	long := strings.Repeat("a", 2<<20)
	tests := []struct {
		name, request, want string
	}{
		{"a scrape", "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200 "},
		{"a scrape over HTTP/1.0", "GET /metrics HTTP/1.0\r\n\r\n", "HTTP/1.0 200 "},
		{"HEAD", "HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200 "},
		{"POST", "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 405 "},
		{"a body without end", "GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\nbegin", "HTTP/1.1 200 "},
		{"a header without end", "GET /metrics HTTP/1.1\r\nHost: x\r\nX-Long: " + long, "HTTP/1.1 431 "},
		{"a path out of the tree", "GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 307 "},
		{"profiles", "GET /debug/pprof/ HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 404 "},
		{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", "HTTP/1.1 400 "},
		{"no timeout at all", "GET /metrics HTTP/1.1\r\nHost: x\r\nX-Prometheus-Scrape-Timeout-Seconds: NaN\r\n\r\n", "HTTP/1.1 200 "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			connection, err := net.Dial("tcp", e.address)
			must(t, err)
			defer connection.Close()
			must(t, connection.SetDeadline(time.Now().Add(maxWait)))
			_, _ = io.WriteString(connection, tt.request) // may be refused halfway; the answer says why
			answer, err := bufio.NewReader(connection).ReadString('\n')
			if err != nil || !strings.HasPrefix(answer, tt.want) {
				t.Errorf("answer %q, %v; want %s", answer, err, tt.want)
			}
		})
	}
	if n := e.scrape().one("closewait_scan_success"); n != 1 {
		t.Errorf("success %v after all that, want 1", n)
	}
}

// TestManyScrapersAtOnce checks that all of them are answered or told to come back. They share
// scans.
func TestManyScrapersAtOnce(t *testing.T) {
	leaktest.RequireRoot(t)
	e := serve(t)
	var scrapers sync.WaitGroup
	for range 100 {
		scrapers.Go(func() {
			status, page, err := e.ask("/metrics", "Accept-Encoding", "gzip")
			switch {
			case err != nil || status != http.StatusOK && status != http.StatusServiceUnavailable:
				t.Errorf("status %d, %v", status, err)
			case status == http.StatusOK:
				if err := checkComplete(page); err != nil {
					t.Errorf("the page is not complete: %v", err)
				}
			}
		})
	}
	scrapers.Wait()
	if n := e.scrape().one("promhttp_metric_handler_requests_in_flight"); n != 1 {
		t.Errorf("%v requests in flight afterwards, want only this one", n)
	}
}

// checkComplete reports what is wrong with a compressed page.
func checkComplete(page string) error {
	plain, err := gzip.NewReader(strings.NewReader(page))
	if err != nil {
		return err
	}
	text, err := io.ReadAll(plain)
	if err == nil && !strings.HasSuffix(string(text), "\n") {
		return fmt.Errorf("it ends with %q", text[max(0, len(text)-20):])
	}
	return err
}
