package web

import (
	"bufio"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestClientsThatDoNotReadCannotKeepTheirSlots(t *testing.T) {
	const limit = 3
	large := strings.Repeat("x", 1<<20)
	tests := []struct {
		name   string
		waited time.Duration // since the answers began
		scan   time.Duration // before the answer
		want   int           // status of one more request
		after  time.Duration // and when it is answered
	}{
		{"they may be slow for a moment", slowReader / 2, 0, http.StatusOK, slowReader / 2},
		{"the slowest is cut off", slowReader, 0, http.StatusOK, 0},
		{"a scan in progress is not", 10 * time.Second, 20 * time.Second, http.StatusServiceUnavailable, slowReader},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path == "/large" {
						time.Sleep(test.scan)
						_, _ = io.WriteString(w, large)
					}
				})
				listener := newPipeListener()
				server := newServer(limitRequests(limit, "scrapes", handler), slog.New(slog.DiscardHandler))
				go func() { _ = server.Serve(listener) }()
				slow := make([]net.Conn, limit)
				for i := range slow {
					slow[i] = listener.dial()
					_, _ = io.WriteString(slow[i], "GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
				}
				synctest.Wait()
				time.Sleep(test.waited)
				started := time.Now()
				if got, took := ask(t, listener), time.Since(started); got != test.want || took != test.after {
					t.Errorf("status %d after %s, want %d after %s", got, took, test.want, test.after)
				}
				whole := 0
				for _, conn := range slow {
					if body, _ := io.ReadAll(conn); strings.Count(string(body), "x") >= len(large) {
						whole++
					}
				}
				if cut := limit - whole; (cut == 1) != (test.want == http.StatusOK) || cut > 1 {
					t.Errorf("%d answers were cut off", cut)
				}
				if got := ask(t, listener); got != http.StatusOK {
					t.Errorf("status %d after all have ended, want 200", got)
				}
				_ = server.Close()
			})
		})
	}
}

// ask sends a request over a new connection and returns the status of the answer.
func ask(t *testing.T, listener *pipeListener) int {
	t.Helper()
	conn := listener.dial()
	defer conn.Close()
	_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	return answer.StatusCode
}
