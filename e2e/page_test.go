package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"closewait_exporter/internal/browsertest"
	"closewait_exporter/internal/leaktest"
)

// JavaScript expressions that read the page.
const (
	pids       = `Array.from(document.querySelectorAll("table.processes td.pid"), (cell) => cell.textContent)`
	background = `getComputedStyle(document.body).backgroundColor`
	width      = `document.documentElement.scrollWidth`
	everything = `document.body.innerText`
)

// TestAPersonOpensThePage opens the page of a real exporter in a real browser, beside programs that
// leak, one of them with HTML as its name, and with a reaper in dry run.
func TestAPersonOpensThePage(t *testing.T) {
	leaktest.RequireRoot(t)
	browser := browsertest.Start(t)
	shop := filepath.Join(t.TempDir(), "shop")
	must(t, os.WriteFile(shop, read(t, leaktest.Build(t)), 0o755))
	leaks := []*leaktest.Leak{
		leaktest.Where{Program: shop}.Start(t, "--sockets=40", "--comm=shop", "--nofile=64"),
		leaktest.Start(t, "--sockets=12", "--unread=700", "--comm=billing-api"),
		leaktest.Start(t, "--sockets=2", "--unaccepted=2", `--comm=<s id=p>\n\u202ex`),
		leaktest.Start(t, "--sockets=3", "--comm=<base href=//x>"),
	}
	e := serve(t, "--reaper.config="+dryRunRules(t, shop))
	page := awaitDecision(t, e, leaks[0].PID)
	for path, name := range map[string]string{"metrics": "metrics", "-/healthy": "health", "-/ready": "readiness", "docs/RUNBOOK.md": "runbook"} {
		if !strings.Contains(page, `href="`+path+`"`) {
			t.Errorf("no link to the %s", name)
		}
		if status, body := e.get("/" + path); status != http.StatusOK || body == "" {
			t.Errorf("%s answers %d", path, status)
		}
	}
	url := "http://" + e.address + "/"

	t.Run("without JavaScript", func(t *testing.T) { requireReadable(t, browser, url, leaks) })
	t.Run("no script runs", func(t *testing.T) { requireNoScript(t, browser, url) })
	t.Run("on a phone", func(t *testing.T) {
		const phone = 390
		tab := browser.Open(t, url, browsertest.View{Width: phone, Height: 844, NoScript: true})
		if got := browsertest.Evaluate[int](tab, width); got > phone {
			t.Errorf("%d pixels wide, want %d at most", got, phone)
		}
		requireEmptyConsole(t, tab)
	})
	t.Run("dark", func(t *testing.T) {
		light := browser.Open(t, url, desktop)
		dark := browser.Open(t, url, browsertest.View{Width: desktop.Width, Height: desktop.Height, Dark: true})
		if a, b := browsertest.Evaluate[string](light, background), browsertest.Evaluate[string](dark, background); a == b {
			t.Errorf("the background is %s both times", a)
		}
	})
	t.Run("only to read", func(t *testing.T) { requireReadOnly(t, url) })
}

var desktop = browsertest.View{Width: 1200, Height: 900}

// requireReadable checks that all is there and that sorting works in a browser without JavaScript.
func requireReadable(t *testing.T, browser *browsertest.Browser, url string, leaks []*leaktest.Leak) {
	t.Helper()
	tab := browser.Open(t, url, browsertest.View{Width: desktop.Width, Height: desktop.Height, NoScript: true})
	requireOrder(t, tab, leaks)
	text := browsertest.Evaluate[string](tab, everything)
	for _, want := range []string{"billing-api", "<base href=//x>", `<s id=p>\n\u202e`, "dry run", "signal TERM", "by rule shop-leak"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not on the page:\n%s", want, text)
		}
	}
	bySockets := []*leaktest.Leak{leaks[0], leaks[1], leaks[3], leaks[2]} // leaks[2] has fewer accepted sockets than leaks[3]
	tab.Follow("table.processes th.sockets a")
	requireOrder(t, tab, bySockets)
	tab.Follow("table.processes th.sockets a")
	slices.Reverse(bySockets)
	requireOrder(t, tab, bySockets)
	requireEmptyConsole(t, tab)
}

// requireNoScript checks that the page has no script, and that an injected one does not run.
func requireNoScript(t *testing.T, browser *browsertest.Browser, url string) {
	t.Helper()
	tab := browser.Open(t, url, desktop)
	if n := browsertest.Evaluate[int](tab, `document.querySelectorAll("script, base, #p, [onclick], [onload], [onerror]").length`); n != 0 {
		t.Errorf("%d elements that must come from the name of a process", n)
	}
	requireEmptyConsole(t, tab)
	browsertest.Evaluate[bool](tab, `(() => { const s = document.createElement("script"); s.textContent = "window.ran = true"; document.body.append(s); return true })()`)
	if browsertest.Evaluate[bool](tab, `window.ran === true`) {
		t.Error("an injected script runs")
	}
	if messages := strings.Join(tab.ConsoleMessages(), "\n"); !strings.Contains(messages, "Content Security Policy") {
		t.Errorf("the policy does not forbid it: %q", messages)
	}
}

// dryRunRules writes a rules file with a rule that would end a program. Where other tests run on
// the host, rounds can be skipped because a process could not be read, so it is tried again soon.
func dryRunRules(t *testing.T, program string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "rules.yml")
	must(t, os.WriteFile(file, fmt.Appendf(nil, `interval: 2s
limits: {actions: 100, per: 10m}
rules:
  - name: shop-leak
    match: {exe: '%s'}
    when: {sockets: 20, age: 1s, fds: 50%%}
    steps: [signal: {name: TERM, wait: 1s}]
    accept_no_restart: true
    cooldown: 4s
`, regexp.QuoteMeta(program)), 0o600))
	return file
}

// awaitDecision returns the page as soon as it shows what the reaper would have done.
func awaitDecision(t *testing.T, e *exporter, pid int) (page string) {
	t.Helper()
	leaktest.Eventually(t, 4*maxWait, func() (bool, string) {
		_, page = e.get("/")
		wanted := fmt.Sprintf("<strong>shop %d</strong>", pid)
		return strings.Contains(page, wanted) && strings.Contains(page, "signal TERM"), "no " + wanted + " in\n" + page
	})
	return page
}

// requireOrder checks the order of the leaks from the top. Other processes may be between them.
func requireOrder(t *testing.T, tab *browsertest.Tab, leaks []*leaktest.Leak) {
	t.Helper()
	var want, got []string
	for _, l := range leaks {
		want = append(want, strconv.Itoa(l.PID))
	}
	for _, pid := range browsertest.Evaluate[[]string](tab, pids) {
		if slices.Contains(want, pid) {
			got = append(got, pid)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("the order is %v, want %v", got, want)
	}
}

func requireEmptyConsole(t *testing.T, tab *browsertest.Tab) {
	t.Helper()
	for _, message := range tab.ConsoleMessages() {
		t.Errorf("the browser reports %q", message)
	}
}

// requireReadOnly checks that HEAD is answered like GET without a body, and that other methods are
// refused.
func requireReadOnly(t *testing.T, url string) {
	t.Helper()
	for method, want := range map[string]int{
		http.MethodHead: http.StatusOK, http.MethodPost: http.StatusMethodNotAllowed, http.MethodPut: http.StatusMethodNotAllowed,
		http.MethodDelete: http.StatusMethodNotAllowed, http.MethodPatch: http.StatusMethodNotAllowed,
	} {
		request, err := http.NewRequest(method, url, nil)
		must(t, err)
		client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: maxWait}
		answer, err := client.Do(request)
		must(t, err)
		defer answer.Body.Close()
		if answer.StatusCode != want {
			t.Errorf("%s answers %d, want %d", method, answer.StatusCode, want)
		}
		if method == http.MethodHead && answer.Header.Get("Content-Security-Policy") == "" {
			t.Error("HEAD has another header than GET")
		}
	}
}
