package web

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	toolkit "github.com/prometheus/exporter-toolkit/web"
)

// toolkitFlags are the flags for these addresses.
func toolkitFlags(configFile string, addresses ...string) *toolkit.FlagConfig {
	systemd := false
	return &toolkit.FlagConfig{WebListenAddresses: &addresses, WebSystemdSocket: &systemd, WebConfigFile: &configFile}
}

// running is a Serve in progress.
type running struct {
	addresses []string
	stop      context.CancelFunc
	ended     chan error
}

// maxConnections is the bound of start.
const maxConnections = 20

// start serves on free ports and returns when it listens on all of them.
func start(t *testing.T, handler http.Handler, configFile string, listeners int) *running {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	r := &running{stop: stop, ended: make(chan error, 1)}
	log := addressLog{make(chan string, listeners)}
	addresses := make([]string, listeners)
	for i := range addresses {
		addresses[i] = "127.0.0.1:0"
	}
	listening := make(chan struct{})
	o := ServerOptions{
		Handler: handler, Flags: toolkitFlags(configFile, addresses...), MaxConnections: maxConnections,
		Listening: func() { close(listening) }, Logger: slog.New(log),
	}
	go func() { r.ended <- Serve(ctx, o) }()
	for range listeners {
		select {
		case address := <-log.addresses:
			r.addresses = append(r.addresses, address)
		case err := <-r.ended:
			t.Fatalf("Serve ended with %v", err)
		case <-time.After(10 * time.Second):
			t.Fatal("Serve does not listen after 10s")
		}
	}
	<-listening
	return r
}

// wait returns the result of Serve.
func (r *running) wait(t *testing.T) error {
	t.Helper()
	select {
	case err := <-r.ended:
		return err
	case <-time.After(10 * time.Second):
		t.Fatal("Serve does not end")
		return nil
	}
}

// addressLog is a slog handler that forwards the listening addresses.
type addressLog struct{ addresses chan string }

func (l addressLog) Enabled(context.Context, slog.Level) bool { return true }
func (l addressLog) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l addressLog) WithGroup(string) slog.Handler            { return l }
func (l addressLog) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "Listening on" {
		r.Attrs(func(a slog.Attr) bool { l.addresses <- a.Value.String(); return true })
	}
	return nil
}

func TestRequestsInFlightAreFinishedAtTheEnd(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	r := start(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-release
		_, _ = io.WriteString(w, "finished")
	}), "", 1)
	body := make(chan string, 1)
	go func() {
		client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		answer, err := client.Get("http://" + r.addresses[0])
		if err != nil {
			body <- err.Error()
			return
		}
		defer answer.Body.Close()
		text, _ := io.ReadAll(answer.Body)
		body <- string(text)
	}()
	<-arrived
	r.stop()
	for deadline := time.Now().Add(10 * time.Second); ; {
		conn, err := net.Dial("tcp", r.addresses[0])
		if err != nil {
			break // it no longer listens
		}
		_ = conn.Close()
		if time.Now().After(deadline) {
			t.Fatal("the server still listens 10s after the shutdown began")
		}
	}
	close(release)
	if got := <-body; got != "finished" {
		t.Errorf("the request in progress was answered with %q", got)
	}
	if err := r.wait(t); err != nil {
		t.Errorf("Serve ended with %v", err)
	}
}

func TestARequestThatHangsIsCutOffAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		listener := newPipeListener()
		server := newServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }),
			slog.New(slog.DiscardHandler))
		go func() { _ = server.Serve(listener) }()
		scraper := listener.dial()
		_, _ = io.WriteString(scraper, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
		synctest.Wait()
		started := time.Now()
		if err := shutdown(server, slog.New(slog.DiscardHandler)); err != nil {
			t.Errorf("shutdown failed: %v", err)
		}
		if took := time.Since(started); took != shutdownGrace {
			t.Errorf("shutdown took %s, want %s", took, shutdownGrace)
		}
		_ = scraper.Close()
	})
}

// failing are the options of a Serve that must not get as far as listening on all addresses.
func failing(t *testing.T, flags *toolkit.FlagConfig) ServerOptions {
	return ServerOptions{
		Handler: http.NotFoundHandler(), Flags: flags, MaxConnections: maxConnections,
		Listening: func() { t.Error("it says that it listens") }, Logger: slog.New(slog.DiscardHandler),
	}
}

func TestABusyAddressEndsAllListenersWithAdvice(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	flags := toolkitFlags("", "127.0.0.1:0", busy.Addr().String())
	err = Serve(t.Context(), failing(t, flags))
	if err == nil || !strings.Contains(err.Error(), "address already in use") || !strings.Contains(err.Error(), "--web.listen-address") {
		t.Errorf("Serve ended with %v", err)
	}
}

func TestSystemdWithoutSocketsIsAnErrorWithAdvice(t *testing.T) {
	flags := toolkitFlags("", "127.0.0.1:0")
	*flags.WebSystemdSocket = true
	err := Serve(t.Context(), failing(t, flags))
	if err == nil || !strings.Contains(err.Error(), ".socket unit") {
		t.Errorf("Serve ended with %v", err)
	}
}

func TestTheWebConfigurationFileBringsTLSAndPasswords(t *testing.T) {
	var answered atomic.Int32
	r := start(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { answered.Add(1) }), writeWebConfig(t), 2)
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, // made by this test
	}}
	tests := []struct {
		name, scheme, password string
		status                 int
	}{
		{"the right password", "https", password, http.StatusOK},
		{"a wrong password", "https", "guess", http.StatusUnauthorized},
		{"no password", "https", "", http.StatusUnauthorized},
		{"no TLS", "http", password, http.StatusBadRequest},
	}
	for _, address := range r.addresses {
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, test.scheme+"://"+address, nil)
				if err != nil {
					t.Fatal(err)
				}
				if test.password != "" {
					request.SetBasicAuth("prometheus", test.password)
				}
				answer, err := client.Do(request)
				if err != nil {
					t.Fatal(err)
				}
				_ = answer.Body.Close()
				if answer.StatusCode != test.status {
					t.Errorf("status %d, want %d", answer.StatusCode, test.status)
				}
			})
		}
	}
	if got := answered.Load(); got != 2 {
		t.Errorf("%d requests came through, want one for each listener", got)
	}
	r.stop()
	if err := r.wait(t); err != nil {
		t.Errorf("Serve ended with %v", err)
	}
}

func TestFailedHandshakesDoNotFillTheLog(t *testing.T) {
	var text strings.Builder
	server := newServer(http.NotFoundHandler(), slog.New(slog.NewTextHandler(&text, nil))) // level info
	server.ErrorLog.Printf("http: TLS handshake error from %s: %v", "10.0.0.1:4711", io.EOF)
	if text.Len() > 0 {
		t.Errorf("logged: %s", &text)
	}
	server.ErrorLog.Print("http: panic serving 10.0.0.1:4711")
	if want := "level=WARN msg=\"http: panic serving 10.0.0.1:4711\""; !strings.Contains(text.String(), want) {
		t.Errorf("no %s in %s", want, &text)
	}
}
