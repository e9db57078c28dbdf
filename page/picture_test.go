package page

import (
	"flag"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"closewait_exporter/internal/browsertest"
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
	pages := map[string]*Page{
		"shop":    pageOf(shopOverTime(), nil, dryRunReaper),
		"empty":   pageOf(reportOf(), nil, nil),
		"hostile": pageOf(hostile(), nil, hostileReaper),
		"failed":  pageOf(nil, errBroken, dryRunReaper),
	}
	views := map[string]browsertest.View{"desktop": desktop, "phone": phone, "desktop-dark": dark(desktop), "phone-dark": dark(phone)}
	browser := browsertest.Start(t)
	colours := map[string]bool{}
	for page, handler := range pages {
		server := httptest.NewServer(handler)
		t.Cleanup(server.Close)
		for name, view := range views {
			t.Run(page+" "+name, func(t *testing.T) {
				tab := browser.Open(t, server.URL, view)
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
