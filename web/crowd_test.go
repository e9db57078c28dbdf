package web

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestAScrapeIsAnsweredAmongTenTimesTheLimitOfIdleClients: whatever the clients do, and from
// however many addresses, the exporter accepts a scraper, and keeps no more connections than
// allowed.
func TestAScrapeIsAnsweredAmongTenTimesTheLimitOfIdleClients(t *testing.T) {
	clients := map[string]string{ // what they send
		"that send nothing":             "",
		"that send half a header":       "GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ",
		"that keep connections open":    "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"that do not send their body":   "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n",
		"that do not read their answer": "GET /large HTTP/1.1\r\nHost: x\r\n\r\n",
	}
	large := strings.Repeat("x", 8<<20)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/large" {
			_, _ = io.WriteString(w, large)
		}
	})
	for name, request := range clients {
		for addresses, most := range map[int]int{1: maxConnections / clientShare, 10: maxConnections} {
			t.Run(name, func(t *testing.T) {
				r := start(t, handler, "", 1)
				defer func() { r.stop(); _ = r.wait(t) }()
				crowd := dialCrowd(t, r.addresses[0], 10*maxConnections, addresses, request)
				defer crowd.leave()
				scrape(t, &http.Transport{}, "http://"+r.addresses[0])
				crowd.wantOpen(t, most)
			})
		}
	}
}

func TestAScrapeIsAnsweredAmongClientsThatDoNotCompleteTheHandshake(t *testing.T) {
	r := start(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), writeWebConfig(t), 1)
	defer func() { r.stop(); _ = r.wait(t) }()
	crowd := dialCrowd(t, r.addresses[0], 10*maxConnections, 10, "\x16\x03\x01")
	defer crowd.leave()
	for _, http2 := range []bool{false, true} {
		scrape(t, &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: http2}, "https://"+r.addresses[0])
	}
}

func TestABusyConnectionOverHTTP2IsNotIdle(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	r := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-release
		_, _ = io.WriteString(w, r.Proto)
	}), writeWebConfig(t), 1)
	defer func() { r.stop(); _ = r.wait(t) }()
	answer := make(chan string)
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	go func() { answer <- get(transport, "https://"+r.addresses[0]) }()
	<-arrived
	crowd := dialCrowd(t, r.addresses[0], 2*maxConnections, 1, "")
	defer crowd.leave()
	close(release)
	if got := <-answer; got != "HTTP/2.0" {
		t.Errorf("the request in progress was answered with %q", got)
	}
}

// crowd are connections of clients that do not end them.
type crowd []net.Conn

// dialCrowd connects from several addresses, and sends a request over each connection.
func dialCrowd(t *testing.T, address string, connections, addresses int, request string) crowd {
	t.Helper()
	c := make(crowd, connections)
	for i := range c {
		dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+i%addresses))}}
		conn, err := dialer.DialContext(t.Context(), "tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(conn, request) // may be closed already
		c[i] = conn
	}
	return c
}

func (c crowd) leave() {
	for _, conn := range c {
		_ = conn.Close()
	}
}

// wantOpen waits until at most the given number of connections is open.
func (c crowd) wantOpen(t *testing.T, most int) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; {
		c = c.open()
		if len(c) <= most {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d connections are open, want at most %d", len(c), most)
		}
	}
}

// open returns the connections that the server has not closed after a while.
func (c crowd) open() (open crowd) {
	var lock sync.Mutex
	var read sync.WaitGroup
	for _, conn := range c {
		read.Go(func() {
			_ = conn.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
			if _, err := io.Copy(io.Discard, conn); err != nil && strings.Contains(err.Error(), "timeout") {
				lock.Lock()
				open = append(open, conn)
				lock.Unlock()
			}
		})
	}
	read.Wait()
	return open
}

// scrape requires an answer before the server gives up clients that send no header.
func scrape(t *testing.T, transport *http.Transport, url string) {
	t.Helper()
	transport.DisableKeepAlives = true
	started := time.Now()
	if got := get(transport, url); got != "" {
		t.Errorf("answered with %q", got)
	}
	if took := time.Since(started); took > 4*time.Second {
		t.Errorf("answered after %s, want at most 4s", took)
	}
}

// get returns the body of the answer, or the error.
func get(transport *http.Transport, url string) string {
	request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, nil)
	if err != nil {
		return err.Error()
	}
	request.SetBasicAuth("prometheus", password)
	answer, err := (&http.Client{Transport: transport, Timeout: 10 * time.Second}).Do(request)
	if err != nil {
		return err.Error()
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return err.Error()
	}
	return string(body)
}
