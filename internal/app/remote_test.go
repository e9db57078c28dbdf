package app

import (
	"bytes"
	"context"
	"encoding/pem"
	"fmt"
	"io"
	stdlog "log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"closewait_exporter/check"
	"closewait_exporter/closewait"
	"closewait_exporter/history"
	"closewait_exporter/report"
	"closewait_exporter/web"
)

// sentReport is what an exporter answers on a host on which three processes have leaked one
// connection a second, for a minute.
func sentReport(t *testing.T) []byte {
	t.Helper()
	began := time.Now().Add(-time.Minute)
	h := &leakingHost{processes: 3, began: began, history: history.New()}
	view, err := h.observe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for second := range 60 {
		past := *view
		past.Taken, past.Holders = began.Add(time.Duration(second)*time.Second), nil
		for _, holder := range view.Holders {
			then := *holder
			then.Ended.Sockets, then.OpenFDs = holder.Ended.Sockets[:second], uint64(10+second)
			past.Holders = append(past.Holders, &then)
		}
		if second == 0 {
			h.history = history.New() // observe has added the last View already
		}
		h.history.Add(&past)
	}
	h.history.Add(view)
	r := newReport(view, 0, closewait.Visibility{Scanner: "ebpf"})
	r.History = h.history
	var text bytes.Buffer
	if err := r.JSON(&text, false); err != nil {
		t.Fatal(err)
	}
	return text.Bytes()
}

// answering is an exporter that answers every request with these bytes.
func answering(t *testing.T, body []byte) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != web.ProcessesPath {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(body)
	}))
	t.Cleanup(server.Close)
	return server
}

// runCommand runs a command line.
func runCommand(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, problems bytes.Buffer
	status = Run(t.Context(), args, nil, &out, &problems)
	return status, out.String(), problems.String()
}

func TestListOfARunningExporter(t *testing.T) {
	from := "--from=" + answering(t, sentReport(t)).URL
	for name, c := range map[string]struct {
		args         []string
		status       int
		want, absent string
	}{
		"the table":         {nil, 0, "+1.0/s", "esc\x1b"},
		"the time left":     {nil, 0, "15m", ""},
		"a process":         {[]string{"--pid=101"}, 0, "Not selected: 2 processes.", " 102 "},
		"sorted":            {[]string{"--sort=left", "--top=1"}, 0, "Not shown: 2 more", " 102 "},
		"JSON":              {[]string{"--output=json", "--group=x"}, 0, `"not_selected": 3`, ""},
		"JSON of a process": {[]string{"--output=json", "--pid=101"}, 0, `"open_fds": 69`, `"pid": 102`},
		"a leak":            {[]string{"--fail-if-leaking"}, 2, "esc", ""},
	} {
		status, stdout, stderr := runCommand(t, append([]string{"list", from}, c.args...)...)
		if status != c.status || !strings.Contains(stdout, c.want) || c.absent != "" && strings.Contains(stdout, c.absent) || stderr != "" {
			t.Errorf("%s: exit status %d, want %d and %q:\n%s\n%s", name, status, c.status, c.want, stdout, stderr)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	watched := &bytes.Buffer{}
	count := &countingWriter{Writer: watched, after: 2, do: cancel}
	if status := Run(ctx, []string{"list", from, "--watch=100ms"}, nil, count, io.Discard); status != 0 || strings.Count(watched.String(), "UTC, every 100ms") < 2 {
		t.Errorf("--watch: exit status %d\n%s", status, watched)
	}
}

// countingWriter does something after a number of writes.
type countingWriter struct {
	io.Writer
	after int
	do    func()
}

func (w *countingWriter) Write(data []byte) (int, error) {
	if w.after--; w.after == 0 {
		w.do()
	}
	return w.Writer.Write(data)
}

func TestCheckOfARunningExporter(t *testing.T) {
	from := "--from=" + answering(t, sentReport(t)).URL
	for _, c := range []struct {
		args string
		want check.State
		text string
	}{
		{"", check.OK, " fds=6.8%;80;95;0;100\n"},
		{"--warning-time-left=14400:", check.Warning, "descriptors run out in 95"},
		{"--warning-time-left=14400: --critical-time-left=3600:", check.Critical, "s, below 3600s: esc"},
		{"--critical-time-left=60:", check.OK, " time_left=95"},
		{"--critical-sockets=50", check.Critical, "61 sockets, above 50"},
	} {
		status, stdout, _ := runCommand(t, append([]string{"check", from}, strings.Fields(c.args)...)...)
		if status != int(c.want) || !strings.Contains(stdout, c.text) {
			t.Errorf("%s: exit status %d, want %s and %q:\n%s", c.args, status, c.want, c.text, stdout)
		}
	}
}

func TestAnAnswerThatIsNoneIsExplained(t *testing.T) {
	handle := func(status int, media, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", media)
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}
	}
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		want    string
	}{
		"an older exporter":     {handle(http.StatusNotFound, "text/plain", "404 page not found"), "404 Not Found: the exporter is older than this program, or it is none"},
		"credentials":           {handle(http.StatusUnauthorized, "text/plain", "Unauthorized"), "401 Unauthorized: give the credentials in --from.http-config"},
		"a scan that fails":     {handle(http.StatusServiceUnavailable, "application/json", `{"error":"the scan hangs"}`), "its scan failed: the scan hangs"},
		"a proxy that fails":    {handle(http.StatusBadGateway, "text/html", "<h1>Bad\x1b gateway</h1>\n<p>"), `502 Bad Gateway: <h1>Bad\u001b gateway</h1>`},
		"another program":       {handle(http.StatusOK, "text/html; charset=utf-8", "<html>"), `the answer is of type "text/html": is it a closewait_exporter?`},
		"JSON of another one":   {handle(http.StatusOK, "application/json", `{"status":"success"}`), "the answer is not the list of a closewait_exporter: it has no version"},
		"an answer without end": {handle(http.StatusOK, "application/json", strings.Repeat(" ", report.MaxBytes+1)), "the answer is longer than 16 MiB"},
		"half an answer": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "{")
		}, "read the answer: unexpected EOF"},
	} {
		server := httptest.NewServer(c.handler)
		status, _, stderr := runCommand(t, "list", "--from="+server.URL)
		if status != 1 || !strings.Contains(stderr, server.URL+web.ProcessesPath+": ") || !strings.Contains(stderr, c.want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%s: exit status %d, want %q:\n%s", name, status, c.want, stderr)
		}
		server.Close()
		if status, _, stderr := runCommand(t, "list", "--from="+server.URL); status != 1 || !strings.Contains(stderr, "connection refused") {
			t.Errorf("no exporter: exit status %d:\n%s", status, stderr)
		}
	}
}

// TestAnExporterBehindTLSAndAPassword uses the file as Prometheus has it.
func TestAnExporterBehindTLSAndAPassword(t *testing.T) {
	sent := sentReport(t)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "on-call" || password != "secret" || r.URL.Path != "/web1"+web.ProcessesPath {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(sent)
	}))
	server.Config.ErrorLog = stdlog.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	config := func(text string) string {
		path := filepath.Join(t.TempDir(), "http.yml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return "--from.http-config=" + path
	}
	from := "--from=" + server.URL + "/web1"
	trusted := fmt.Sprintf("tls_config: {ca_file: %s}\n", ca)
	password := "basic_auth: {username: on-call, password: secret}\n"
	for name, c := range map[string]struct {
		args   []string
		status int
		want   string
	}{
		"both":                    {[]string{from, config(trusted + password)}, 0, "+1.0/s"},
		"no password":             {[]string{from, config(trusted)}, 1, "401 Unauthorized: give the credentials in --from.http-config"},
		"an unknown authority":    {[]string{from, config(password)}, 1, "give its certificate authority in --from.http-config"},
		"another name":            {[]string{from, config("tls_config: {ca_file: " + ca + ", server_name: x}\n")}, 1, "use a name of the certificate in --from"},
		"HTTP to HTTPS":           {[]string{strings.Replace(from, "https", "http", 1), config(password)}, 1, "400 Bad Request: Client sent an HTTP request to an HTTPS server."},
		"a file that is not here": {[]string{from, "--from.http-config=/nonexistent"}, 1, "--from.http-config=/nonexistent: open /nonexistent: no such file"},
		"a file of another kind":  {[]string{from, config("users: {a: b}\n")}, 1, "field users not found"},
	} {
		status, stdout, stderr := runCommand(t, append([]string{"list"}, c.args...)...)
		if status != c.status || !strings.Contains(stdout+stderr, c.want) || strings.Contains(stderr, "secret") {
			t.Errorf("%s: exit status %d, want %d and %q:\n%s\n%s", name, status, c.status, c.want, stdout, stderr)
		}
	}
	plain := answering(t, sent)
	if status, _, stderr := runCommand(t, "list", strings.Replace("--from="+plain.URL, "http", "https", 1)); status != 1 || !strings.Contains(stderr, "use http:// instead of https://") {
		t.Errorf("HTTPS to HTTP: exit status %d:\n%s", status, stderr)
	}
}

func TestFlagsThatDoNotGoWithARunningExporter(t *testing.T) {
	for line, want := range map[string]string{
		"list --from=web1:10052":                               "use for example http://web1:10052",
		"list --from=ftp://web1":                               "use for example http://web1:10052",
		"list --from=http://me:secret@web1":                    "put them into a file and give --from.http-config",
		"list --from=http://web1/?x=1":                         "has more than an address and a path",
		"list --from=http://web1 --sockets":                    "leave one of --sockets and --from out",
		"list --from=http://web1 --reaper.config=x":            "leave one of --reaper.config and --from out",
		"list --from.http-config=x":                            "give --from too",
		"list --sort=left":                                     "give --watch or --from too",
		"check --warning-time-left=60:":                        "give --from too",
		"check --from=http://web1 --critical-time-left=1h":     "is not a range",
		"check --from.http-config=x --warning-age=5":           "give --from too",
		"check --from=http://127.0.0.1:1 --timeout=1s":         "connection refused",
		"check --from=http://127.0.0.1:1 --from.http-config=/": "--from.http-config=/",
	} {
		status, stdout, stderr := runCommand(t, strings.Fields(line)...)
		if status == 0 || !strings.Contains(stdout+stderr, want) || strings.Contains(stdout+stderr, "secret") {
			t.Errorf("%s: exit status %d, want %q:\n%s%s", line, status, want, stdout, stderr)
		}
	}
}
