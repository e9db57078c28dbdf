package page

import (
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"closewait_exporter/internal/browsertest"
	"closewait_exporter/reaper/status"
	"closewait_exporter/report"
)

var picture = flag.String("picture", "", "directory into which pictures of the page are written: scripts/screenshot does")

// The widths of a desktop and of a phone.
var (
	desktop = browsertest.View{Width: 1200, Height: 900, NoScript: true}
	phone   = browsertest.View{Width: 390, Height: 844, NoScript: true}
)

func dark(v browsertest.View) browsertest.View {
	v.Dark = true
	return v
}

// TestThePageFitsWithoutWarnings shows pages in a real browser: nothing is wider than the screen,
// and the browser reports no errors.
func TestThePageFitsWithoutWarnings(t *testing.T) {
	pages := everyPage(t)
	views := map[string]browsertest.View{"desktop": desktop, "phone": phone, "desktop-dark": dark(desktop), "phone-dark": dark(phone)}
	browser := browsertest.Start(t)
	if !long() && *picture == "" {
		for _, slow := range []string{"thousand", "metrics", "documents", "injected", "filtered"} {
			delete(pages, slow)
		}
	}
	colours := map[string]bool{}
	for page, shown := range pages {
		server := httptest.NewServer(shown.handler)
		t.Cleanup(server.Close)
		for name, view := range views {
			t.Run(page+" "+name, func(t *testing.T) {
				tab := browser.Open(t, server.URL+shown.path, view)
				if width := browsertest.Evaluate[int](tab, "document.documentElement.scrollWidth"); width > int(view.Width) {
					t.Errorf("it is %d pixels wide, the screen is %d", width, view.Width)
				}
				for _, complaint := range tab.ConsoleMessages() {
					if page != "failed" { // Chromium mentions the status 503
						t.Errorf("the browser reports %q", complaint)
					}
				}
				colours[browsertest.Evaluate[string](tab, "getComputedStyle(document.body).backgroundColor")] = view.Dark
				keep(t, page+"-"+name, tab.FullScreenshot)
			})
		}
	}
	if len(colours) != 2 {
		t.Errorf("backgrounds %v, want a light one and a dark one", colours)
	}
}

// long reports whether tests may take minutes.
func long() bool { return os.Getenv("CLOSEWAIT_LONG") != "" }

// shownPage is a page and where it is served.
type shownPage struct {
	handler http.Handler
	path    string
}

// everyPage are all kinds of pages.
func everyPage(t *testing.T) map[string]shownPage {
	t.Helper()
	documents := documentsOf(t, served(t))
	acted := func() status.Status {
		s := dryRunReaper()
		s.Enforcing = true
		s.Actions = []status.Entry{{Since: now, Until: now, Rule: "java-leak", Mode: "enforce", PID: 4211, Comm: "java", Group: "shop.service", What: "signal TERM"}}
		return s
	}
	process := func(r *report.Report, reaper func() status.Status) http.Handler {
		return http.HandlerFunc(pageOf(r, nil, reaper).ServeProcess)
	}
	return map[string]shownPage{
		"shop":      {pageOf(shopOverTime(), nil, dryRunReaper), "/"},
		"filtered":  {pageOf(shopOverTime(), nil, acted), "/?port=443&sort=pid"},
		"empty":     {pageOf(reportOf(), nil, nil), "/"},
		"hostile":   {pageOf(hostile(), nil, hostileReaper), "/"},
		"failed":    {pageOf(nil, errBroken, dryRunReaper), "/"},
		"process":   {process(shopOverTime(), acted), "/process?pid=911"},
		"injected":  {process(hostile(), hostileReaper), "/process?pid=101"},
		"documents": {documents, "/"},
		"runbook":   {documents, "/RUNBOOK.md"},
		"thousand":  {pageOf(thousand(), nil, nil), "/"},
		"metrics":   {documents, "/METRICS.md"},
	}
}

// thousand is a host with a thousand leaking processes.
func thousand() *report.Report {
	var leaks []leak
	for pid := range maxRows {
		leaks = append(leaks, leak{Process: program(pid+1, fmt.Sprintf("worker@%d.service", pid), "worker", uint64(pid), 1024), remote: "10.0.0.1:1", ages: spread(3, time.Hour, time.Minute)})
	}
	return reportOf(leaks...)
}

// TestThePagesBreakNoRuleOfAccessibility checks all pages with axe-core, which is fetched with npm,
// in both colour schemes, and on a phone. Without CLOSEWAIT_LONG it checks two of them.
func TestThePagesBreakNoRuleOfAccessibility(t *testing.T) {
	axe := fetchAxe(t)
	browser := browsertest.Start(t)
	views := map[string]browsertest.View{
		"desktop": {Width: desktop.Width, Height: desktop.Height}, "phone, dark": {Width: phone.Width, Height: phone.Height, Dark: true},
	}
	quick := []string{"shop phone, dark", "process desktop"}
	for page, shown := range everyPage(t) {
		server := httptest.NewServer(shown.handler)
		t.Cleanup(server.Close)
		for name, view := range views {
			if !long() && !slices.Contains(quick, page+" "+name) || page == "thousand" {
				continue // a thousand rows are like seven, and take axe-core minutes
			}
			t.Run(page+" "+name, func(t *testing.T) {
				tab := browser.Open(t, server.URL+shown.path, view)
				browsertest.Evaluate[bool](tab, axe+"\n;true") // the policy of the page is about its own scripts
				type violation struct {
					ID, Help string
					Nodes    []struct{ HTML string }
				}
				result := browsertest.Await[struct {
					Passes     []struct{ ID string }
					Violations []violation
				}](tab, `axe.run().then(({passes, violations}) => ({passes: passes.map(({id}) => ({id})),
					violations: violations.map(({id, help, nodes}) => ({id, help, nodes: nodes.map(({html}) => ({html}))}))}))`)
				for _, v := range result.Violations {
					t.Errorf("%s: %s\n%v", v.ID, v.Help, v.Nodes[:min(3, len(v.Nodes))])
				}
				if len(result.Passes) == 0 {
					t.Error("axe-core has checked nothing")
				}
			})
		}
	}
}

// fetchAxe returns the source of axe-core. It skips the test where npm, or what it downloads, is
// missing.
func fetchAxe(t *testing.T) string {
	t.Helper()
	npm, err := exec.LookPath("npm")
	if err != nil {
		t.Skipf("needs npm (apt-get install npm): %v", err)
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/axe")); err != nil {
		t.Fatal(err)
	}
	install := exec.Command(npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline")
	install.Dir = dir
	if out, err := install.CombinedOutput(); err != nil {
		t.Skipf("cannot download axe-core: %v\n%s", err, out)
	}
	source, err := os.ReadFile(filepath.Join(dir, "node_modules/axe-core/axe.min.js"))
	if err != nil {
		t.Fatal(err)
	}
	return string(source)
}

// TestTheKeyboardReachesEverything presses Tab from the start of the page to its end: each link is
// reached in the order of the page, and is marked.
func TestTheKeyboardReachesEverything(t *testing.T) {
	server := httptest.NewServer(pageOf(shopOverTime(), nil, dryRunReaper))
	t.Cleanup(server.Close)
	tab := browsertest.Start(t).Open(t, server.URL, desktop)
	links := browsertest.Evaluate[[]string](tab, `Array.from(document.links, (a) => a.getAttribute("href"))`)
	for i, want := range links {
		tab.PressTab()
		got := browsertest.Evaluate[[]string](tab, `[document.activeElement.getAttribute("href"), getComputedStyle(document.activeElement).outlineStyle]`)
		if got[0] != want || got[1] != "solid" {
			t.Fatalf("after %d times the focus is on %q, marked %s, want %q, solid", i+1, got[0], got[1], want)
		}
	}
	if len(links) < 30 {
		t.Errorf("only %d links", len(links))
	}
}

// TestThePictureInTheDocuments makes the picture of docs/PAGE.md on request: the top of the page
// on a desktop.
func TestThePictureInTheDocuments(t *testing.T) {
	if *picture == "" {
		t.Skip("run scripts/screenshot to make the picture")
	}
	server := httptest.NewServer(pageOf(shopOverTime(), nil, dryRunReaper))
	t.Cleanup(server.Close)
	const enough = 890 // pixels: to the end of the table of processes
	keep(t, "page", browsertest.Start(t).Open(t, server.URL, browsertest.View{Width: desktop.Width, Height: enough}).Screenshot)
}

// keep writes a picture on request.
func keep(t *testing.T, name string, png func() []byte) {
	t.Helper()
	if *picture == "" {
		return
	}
	if err := os.WriteFile(filepath.Join(*picture, name+".png"), png(), 0o600); err != nil {
		t.Fatal(err)
	}
}
