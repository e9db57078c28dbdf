package dashboards

import (
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"closewait_exporter/internal/browsertest"
	"closewait_exporter/internal/leaktest"
)

var picture = flag.String("picture", "", "file into which the picture of the dashboard is written: scripts/screenshot does")

// renderer is the page that draws the dashboard with Grafana's components, built by scripts/render.
const renderer = "../bin/render/dist"

// drawnPanel is what the page reports about a panel.
type drawnPanel struct {
	ID         uint32
	Title      string
	Type       string
	Frames     int
	Error      string
	CutColumns int      // pixels by which a table is wider than its panel
	CutText    int      // pixels by which a text is higher than its panel
	Cells      []string // of a table
}

// requireRenderer skips the test if the page has not been built.
func requireRenderer(t *testing.T) {
	t.Helper()
	if _, err := os.Stat(filepath.Join(renderer, "index.html")); err != nil {
		t.Skipf("run scripts/render first: %v", err)
	}
}

// draw opens the dashboard with the given time range, and returns when all its panels are drawn.
func draw(t *testing.T, prometheus server, span time.Duration, trend, theme string, height int64) *browsertest.Tab {
	t.Helper()
	files := http.NewServeMux()
	files.Handle("/", http.FileServer(http.Dir(renderer)))
	files.Handle("/api/", httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: prometheus.Address}))
	files.HandleFunc("/closewait.json", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, file) })
	pages := httptest.NewServer(files)
	t.Cleanup(pages.Close)
	const width = 1600
	address := fmt.Sprintf("%s/?span=%.0f&trend=%s&scrape=1&width=%d&theme=%s", pages.URL, span.Seconds(), trend, width, theme)
	tab := browsertest.Start(t).Open(t, address, browsertest.View{Width: width, Height: height})
	leaktest.Eventually(t, within, func() (bool, string) {
		title := browsertest.Evaluate[string](tab, "document.title")
		return title != "loading", "the page is " + title
	})
	if title := browsertest.Evaluate[string](tab, "document.title"); title != "drawn" {
		t.Fatalf("the page is %s: %q", title, tab.ConsoleMessages())
	}
	return tab
}

// requireDrawn checks that Grafana's components draw each panel completely.
func requireDrawn(t *testing.T, prometheus server) {
	t.Helper()
	for _, theme := range []string{"light", "dark"} {
		tab := draw(t, prometheus, within, times["trend"], theme, 900)
		var ids []uint32
		for _, p := range browsertest.Evaluate[[]drawnPanel](tab, "window.report") {
			ids = append(ids, p.ID)
			if p.Error != "" {
				t.Errorf("%q, %s: %s", p.Title, theme, p.Error)
			}
			if p.Frames == 0 && p.Type != "text" {
				t.Errorf("%q, %s, shows nothing", p.Title, theme)
			}
			if p.CutColumns+p.CutText > 0 {
				t.Errorf("%q, %s: %d pixels of columns and %d of text are cut", p.Title, theme, p.CutColumns, p.CutText)
			}
			if empty := noValue(t, p.ID); empty != "" && slices.Contains(p.Cells, empty) {
				t.Errorf("%q, %s: a cell says %q, which is for an empty panel: %q", p.Title, theme, empty, p.Cells)
			}
			if p.Type == "table" && !slices.ContainsFunc(p.Cells, func(c string) bool { return strings.ContainsAny(c, "0123456789") }) {
				t.Errorf("%q, %s, has no cell with a number: %q", p.Title, theme, p.Cells)
			}
		}
		for _, p := range panels(load(t)) {
			if !slices.Contains(ids, *p.Id) {
				t.Errorf("%q, %s, is not drawn", *p.Title, theme)
			}
		}
	}
}

// noValue is what a panel says if it has no data.
func noValue(t *testing.T, id uint32) string {
	t.Helper()
	for _, p := range panels(load(t)) {
		if *p.Id == id && p.FieldConfig != nil && p.FieldConfig.Defaults.NoValue != nil {
			return *p.FieldConfig.Defaults.NoValue
		}
	}
	return ""
}

// TestThePictureOfTheDashboard makes the picture of the README on request, after three minutes of
// leaks.
func TestThePictureOfTheDashboard(t *testing.T) {
	if *picture == "" {
		t.Skip("run scripts/screenshot dashboard to make the picture")
	}
	requireRenderer(t)
	prometheus := startPrometheus(t)
	leaktest.Start(t, "--comm=checkout-api", "--rate=1", "--nofile=1024", "--sockets=20")
	leaktest.Start(t, "--comm=gateway", "--sockets=30", "--unread=300", "--unread=20000", "--unread=fin", "--unaccepted=6")
	leaktest.Start(t, "--comm=mail-worker", "--rate=0.3", "--nofile=4096", "--unread=none", "--unread=fin", "--closed=9")
	leaktest.Start(t, "--comm=guarded", "--sockets=14", "--outbound=14", "--keepalive", "--listen=[::1]:0")
	const span, height = 3 * time.Minute, 1160
	prometheus.Await(t, fmt.Sprintf("min(count_over_time(closewait_process_open_fds{comm=\"checkout-api\"}[%.0fs]))", span.Seconds()), span.Seconds()-5, span.Seconds()+5)
	png := draw(t, prometheus, span, "1m", "light", height).Screenshot()
	if err := os.WriteFile(*picture, png, 0o600); err != nil {
		t.Fatal(err)
	}
}
