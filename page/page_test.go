package page

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"closewait_exporter/closewait"
	"closewait_exporter/report"
)

// document is a page as a browser parses it.
type document struct {
	*html.Node
	status int
	header http.Header
	source string
}

func get(t *testing.T, p http.Handler, path string) *document {
	t.Helper()
	w := httptest.NewRecorder()
	p.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return parsed(t, w)
}

func parsed(t *testing.T, w *httptest.ResponseRecorder) *document {
	t.Helper()
	d := &document{status: w.Code, header: w.Header(), source: w.Body.String()}
	var err error
	if d.Node, err = html.Parse(strings.NewReader(d.source)); err != nil {
		t.Fatal(err)
	}
	return d
}

// all returns the elements of a kind, and of a class if one is given.
func (d *document) all(kind atom.Atom, class string) []*html.Node {
	var found []*html.Node
	for n := range d.Descendants() {
		if n.DataAtom == kind && n.Type == html.ElementNode && (class == "" || slices.Contains(strings.Fields(attribute(n, "class")), class)) {
			found = append(found, n)
		}
	}
	return found
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// text is the visible text with single blanks.
func text(n *html.Node) string {
	var all strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode && d.Parent.DataAtom != atom.Style && d.Parent.Data != "title" {
			all.WriteString(d.Data + " ")
		}
	}
	return strings.Join(strings.Fields(all.String()), " ")
}

// column returns the texts of the cells of a class, from the top.
func (d *document) column(class string) []string {
	var cells []string
	for _, table := range d.all(atom.Table, "processes") {
		inTable := &document{Node: table}
		for _, body := range inTable.all(atom.Tbody, "") {
			inBody := &document{Node: body}
			for _, cell := range append(inBody.all(atom.Th, class), inBody.all(atom.Td, class)...) {
				cells = append(cells, text(cell))
			}
		}
	}
	return cells
}

func (d *document) want(t *testing.T, wanted ...string) {
	t.Helper()
	all := text(d.Node)
	for _, w := range wanted {
		if !strings.Contains(all, w) {
			t.Errorf("%q is not in\n%s", w, all)
		}
	}
}

func TestThePageShowsWhoLeaks(t *testing.T) {
	d := get(t, pageOf(shop(), nil, nil), "/")
	if d.status != http.StatusOK {
		t.Errorf("status %d", d.status)
	}
	d.want(t, "6 processes hold ended connections", "1066 ended connections: 1062 held by 6 processes, 4 not accepted yet.", "7 of them are closed: over on both sides and not shown by ss, but the descriptor is still open.",
		"Scanned 7 network namespaces with the ebpf scanner in 3.2ms", "Scanned at 09:41:07 UTC", "94% of descriptors used by shop.service")
	want := map[string]string{
		"group": "shop.service java", "pid": "4211", "sockets": "812", "other": "0", "rate": "-", "left": "-", "oldest": "1d07h median 7h46m",
		"unread": "0 609 none · 203 fin", "fds": "3871/4096 94%", "service": "in :8080", "remote": "10.1.2.3 100%",
	}
	for class, cell := range want {
		if got := d.column(class); len(got) != 7 || got[0] != cell {
			t.Errorf("column %s is %q, want %q first", class, got, cell)
		}
	}
	var links []string
	for _, a := range d.all(atom.A, "") {
		links = append(links, attribute(a, "href"))
	}
	for _, link := range []string{"metrics", "-/healthy", "-/ready", "docs/RUNBOOK.md", "docs/REAPER.md"} {
		if !slices.Contains(links, link) {
			t.Errorf("no link to %s among %q", link, links)
		}
	}
}

func TestAgesHaveBarsAndWords(t *testing.T) {
	d := get(t, pageOf(reportOf(
		leak{Process: program(1, "", "old", 1, 2), remote: "10.0.0.1:1", ages: []time.Duration{25 * time.Hour, 7 * time.Hour, 7 * time.Hour, 30 * time.Second}},
		leak{Process: program(2, "", "few", 1, 2), remote: "10.0.0.1:1", ages: []time.Duration{10 * time.Minute}},
	), nil, nil), "/")
	bars := d.all(atom.Svg, "ages")
	for i, want := range []string{"Ages: 1 over 1 day, 2 6–24 h, 1 under 1 min", "Ages: 1 1–10 min"} {
		if got := attribute(bars[i], "aria-label"); got != want || attribute(bars[i], "role") != "img" {
			t.Errorf("bar %d says %q, want %q", i, got, want)
		}
	}
	var parts []string
	for n := range bars[0].Descendants() {
		if n.Data == "rect" {
			parts = append(parts, fmt.Sprint(attribute(n, "class"), " ", attribute(n, "x"), " ", attribute(n, "width")))
		}
	}
	if diff := cmp.Diff([]string{"a5 0.00 25.00", "a4 25.00 50.00", "a0 75.00 25.00"}, parts); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestOnlyAPartOfVeryManyProcessesIsShownAndThePageSaysSo(t *testing.T) {
	var leaks []leak
	for pid := range maxRows + 7 {
		leaks = append(leaks, leak{Process: program(pid+1, "", "x", 1, 2), remote: "10.0.0.1:1", ages: []time.Duration{time.Hour}})
	}
	d := get(t, pageOf(reportOf(leaks...), nil, nil), "/?sort=pid&order=desc")
	if got := d.column("pid"); len(got) != maxRows || got[0] != fmt.Sprint(maxRows+7) {
		t.Errorf("%d rows, the first of process %s", len(got), got[0])
	}
	d.want(t, "7 more are not shown")
}

func TestAHostWithoutLeaksIsHealthy(t *testing.T) {
	young := reportOf(leak{Process: program(1, "", "nginx", 1, 2), remote: "10.0.0.1:1", ages: []time.Duration{time.Millisecond}})
	young.Listed = nil
	denied := reportOf()
	denied.View.Denied = 3
	someSeen := reportOf()
	someSeen.View.Complete = closewait.NewStateSet(closewait.CloseWait)
	ownerless := reportOf()
	ownerless.View.Ownerless = []*closewait.Socket{{Since: now.Add(-time.Hour), Owner: closewait.OwnedByKernel}}
	tests := []struct {
		name    string
		report  *report.Report
		want    []string
		healthy bool
	}{
		{"nothing at all", reportOf(), []string{"No leaks on this host", "Scanned 7 network namespaces"}, true},
		{"closed sockets cannot be seen", someSeen, []string{"No known leaks on this host", "No ended connections are known to be held: no known leaks on this host."}, true},
		{"only ordinary closing", young, []string{"No leaks on this host", "of 1 ended connection none is known to be 1s old", "Hidden: 1 process"}, true},
		{"not everything can be seen", denied, []string{"No known leaking processes", "the descriptors of 3 processes could not be read"}, false},
		{"sockets without a holder", ownerless, []string{"No known leaking processes", "Not in the table, of the ended connections: 1 held by no process"}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := get(t, pageOf(test.report, nil, nil), "/")
			d.want(t, append(test.want, "The reaper is off")...)
			if healthy := len(d.all(atom.H1, "good")) == 1; healthy != test.healthy || d.status != http.StatusOK || len(d.all(atom.Table, "processes")) > 0 {
				t.Errorf("status %d, healthy %t", d.status, healthy)
			}
		})
	}
}

func TestAFailedScanIsReportedAndNoNumbersAreShown(t *testing.T) {
	tests := map[string]struct {
		err  error
		want []string
	}{
		"a scan that fails": {errBroken, []string{"Error: list processes: open /proc: permission denied: give it CAP_SYS_PTRACE"}},
		"a scan that hangs": {fmt.Errorf("scan: %w", context.DeadlineExceeded), []string{"takes longer than this page waits", "Refresh in a moment"}},
		"a hostile error":   {errors.New("<script>\x1b"), []string{`<script>\x1b`}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			d := get(t, pageOf(shop(), test.err, dryRunReaper), "/?sort=pid")
			d.want(t, append(test.want, "The scan failed", "the runbook", "Dry run")...)
			if d.status != http.StatusServiceUnavailable || len(d.all(atom.Table, "")) > 0 || len(d.all(atom.Script, "")) > 0 {
				t.Errorf("status %d, or old numbers:\n%s", d.status, text(d.Node))
			}
		})
	}
}

func TestThePageSaysWhatCannotBeSeen(t *testing.T) {
	r := shop()
	r.Visibility.Missing = []closewait.MissingCapability{{Capability: "CAP_SYS_PTRACE", Lost: "holders of the sockets of other users"}}
	d := get(t, pageOf(r, nil, nil), "/")
	d.want(t, "Parts of this host could not be read", "not visible without CAP_SYS_PTRACE: holders of the sockets of other users")
	get(t, pageOf(shop(), nil, nil), "/").want(t, "All processes and network namespaces of this host could be read.")
}

func TestClosedSocketsAreShownAsFarAsTheyAreKnown(t *testing.T) {
	gone := leak{Process: program(7, "", "gone", 3, 9), remote: "10.0.0.1:1", ages: spread(3, time.Hour, time.Hour), closed: 3}
	d := get(t, pageOf(reportOf(gone), nil, nil), "/")
	d.want(t, "1 process holds ended connections", "3 of them are closed")
	if got := d.column("sockets"); len(got) != 1 || got[0] != "3 3 closed" {
		t.Errorf("sockets: %q", got)
	}
	r := shop()
	r.View.Complete = closewait.NewStateSet(closewait.CloseWait)
	get(t, pageOf(r, nil, nil), "/").want(t, ">=1066 ended connections")
	if diff := cmp.Diff([]string{">=812", ">=174", ">=7", "-", ">=2 +4 unaccepted", ">=58 >=7 closed", ">=9"}, get(t, pageOf(r, nil, nil), "/").column("sockets")); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestOtherSocketsAreNotCalledEndedConnections(t *testing.T) {
	d := get(t, pageOf(reportOf(leak{Process: program(7, "", "poller", 64, 1024), unconnected: 30, finWait2: 2}), nil, nil), "/")
	d.want(t, "1 process holds many half-closed or unconnected sockets", "No ended connections are held.", "fin_wait2 2 unconnected 30")
	for class, want := range map[string]string{"sockets": "0", "other": "32 2 fin_wait2 30 unconnected", "oldest": ">=1h00m median >=1h00m"} {
		if got := d.column(class); len(got) != 1 || got[0] != want {
			t.Errorf("%s: %q, want %q", class, got, want)
		}
	}
}

func TestARowSaysThatItsProcessIsProbablyAProxy(t *testing.T) {
	groups := get(t, pageOf(shop(), nil, nil), "/").column("group")
	for i, group := range groups {
		if says, proxy := strings.Contains(group, "probably a proxy"), i == 2; says != proxy {
			t.Errorf("the row of %q says %t", group, says)
		}
	}
}

func TestWithoutALimitOfDescriptorsNothingIsSaidOfItsShare(t *testing.T) {
	free := leak{Process: program(7, "", "free", 64, closewait.UnlimitedFDs), remote: "10.0.0.1:1", ages: spread(1, time.Hour, time.Hour)}
	d := get(t, pageOf(reportOf(free), nil, nil), "/")
	if got := d.column("fds"); len(got) != 1 || got[0] != "64/unlimited" || len(d.all(atom.Svg, "gauge")) > 0 || strings.Contains(text(d.Node), "of descriptors used") {
		t.Errorf("descriptors: %q in\n%s", got, text(d.Node))
	}
}

func TestTrendsAreShown(t *testing.T) {
	d := get(t, pageOf(shopOverTime(), nil, nil), "/")
	d.want(t, "56m15s until exhaustion of descriptors in shop.service (+4.0/min)", "by the trend of the last 15m00s")
	for class, want := range map[string][]string{"rate": {"+4.0/min", "+1.0/min", "0"}, "left": {"56m15s", "10h22m", "-"}} {
		if got := d.column(class); !slices.Equal(got[:3], want) {
			t.Errorf("%s: %q, want %q first", class, got, want)
		}
	}
	if critical := d.all(atom.Li, "critical"); len(critical) != 1 || !strings.Contains(text(critical[0]), "until exhaustion") {
		t.Errorf("the tile of the time left is not critical, or others are")
	}
	for query, want := range map[string]string{"?sort=left": "4211", "?sort=left&order=desc": "77", "?sort=rate": "4211", "?sort=rate&order=asc": "77"} {
		if got := get(t, pageOf(shopOverTime(), nil, nil), "/"+query).column("pid")[0]; got != want {
			t.Errorf("%s begins with %s, want %s", query, got, want)
		}
	}
	for _, nothing := range get(t, pageOf(shop(), nil, nil), "/").column("left") {
		if nothing != "-" {
			t.Errorf("without a history %q is left", nothing)
		}
	}
}
