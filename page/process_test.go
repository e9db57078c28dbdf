package page

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html/atom"

	"closewait_exporter/closewait"
	"closewait_exporter/diagnose"
	"closewait_exporter/reaper/status"
)

// getProcess gets the page of a process.
func getProcess(t *testing.T, p *Page, query string) *document {
	t.Helper()
	w := httptest.NewRecorder()
	p.ServeProcess(w, httptest.NewRequest(http.MethodGet, "/process"+query, nil))
	return parsed(t, w)
}

func TestThePageOfAProcessSaysAllAboutIt(t *testing.T) {
	r := shopOverTime()
	r.View.Holders[0].Exe, r.View.Holders[0].User, r.View.Holders[0].StartTime = "/opt/java/bin/java", "shop", now.Add(-48*time.Hour)
	r.Verdicts = map[closewait.ProcessID]diagnose.Verdict{r.View.Holders[0].ID: {Kind: diagnose.NeverCloses, Summary: "It does not close 812 connections."}}
	p := pageOf(r, nil, dryRunReaper)
	p.options.Dashboard = "https://grafana.example/d/closewait?orgId=1"
	d := getProcess(t, p, "?pid=4211")
	requireStatus(t, d, http.StatusOK)
	d.want(t, "java 4211", "It does not close 812 connections.", "Group shop.service", "Program /opt/java/bin/java", "User shop", "Started 2026-11-19 09:41:07 UTC, 2d00h ago",
		"Ended connections 812", "Rate +4.0/min", "Until the descriptors run out 56m15s", "Measured over 15m00s", "FDs 3871/4096 94%",
		"609 none · 203 fin", "CLOSE_WAIT 10.0.0.5:8080 10.1.2.3:51000 in :8080 1d07h",
		"sudo closewait_exporter diagnose 4211", "sudo closewait_exporter origin 4211",
		"sudo closewait_exporter evidence 4211 --output-file=evidence-4211.json", "sudo closewait_exporter list --watch --pid=4211", "sudo nsenter --target=4211 --net ss -tanpo state close-wait",
		"explain --reaper.config=FILE", "312 more are not shown", "signal KILL java 4211", "cooldown java 4211")
	if strings.Contains(text(d.Node), "billing-pool") {
		t.Error("the page shows decisions about another process")
	}
	if rows := d.all(atom.Tr, ""); len(rows) != 1+maxSockets {
		t.Errorf("%d rows, want a heading and %d sockets", len(rows), maxSockets)
	}
	if !strings.Contains(d.source, "over the last 20m00s: 732 at first, 812 now, 812 at most") {
		t.Error("the page does not draw the connections over time")
	}
	if got, want := linkOf(t, d, "Its group in the dashboard"), "https://grafana.example/d/closewait?orgId=1&var-group=shop.service"; got != want {
		t.Errorf("the dashboard is at %s, want %s", got, want)
	}
}

func TestThePageOfAProcessNeedsNoReaperAndNoDashboard(t *testing.T) {
	d := getProcess(t, pageOf(shop(), nil, nil), "?pid=77")
	requireHarmless(t, d)
	requireStatus(t, d, http.StatusOK)
	d.want(t, "haproxy 77", "as a proxy does", "FIN_WAIT2", "Rate -")
	for _, not := range []string{"dashboard", "explain", "cooldown"} {
		if strings.Contains(text(d.Node), not) {
			t.Errorf("it says %q", not)
		}
	}
}

func TestThePageOfAProcessSaysWhyItShowsNothing(t *testing.T) {
	tests := map[string]struct {
		query  string
		err    error
		status int
		want   string
	}{
		"a process that is not listed": {"?pid=1", nil, http.StatusNotFound, "No listed process 1"},
		"no number":                    {"?pid=<script>", nil, http.StatusNotFound, "No process has this pid"},
		"no pid":                       {"", nil, http.StatusNotFound, "All processes of this host"},
		"a scan that fails":            {"?pid=4211", errBroken, http.StatusServiceUnavailable, "give it CAP_SYS_PTRACE"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			d := getProcess(t, pageOf(shop(), test.err, dryRunReaper), test.query)
			requireStatus(t, d, test.status)
			requireHarmless(t, d)
			d.want(t, test.want)
		})
	}
}

func TestAnAddressOfADashboardKeepsAnyGroupInItsPlace(t *testing.T) {
	got := dashboardOf("https://grafana.example/d/closewait", `a&var-job=x#"><b>`)
	if want := "https://grafana.example/d/closewait?var-group=a%26var-job%3Dx%23%22%3E%3Cb%3E"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestWhatTheReaperDidIsAtTheTop: an action in dry run has not happened.
func TestWhatTheReaperDidIsAtTheTop(t *testing.T) {
	var acted []status.Entry
	for i := range maxActed + 2 {
		acted = append(acted, status.Entry{Since: now.Add(-time.Duration(i) * time.Minute), Until: now, Rule: "r", Mode: "enforce", PID: i + 1, Comm: "java", Group: "g", What: "signal TERM"})
	}
	for name, test := range map[string]struct {
		actions []status.Entry
		top     int
	}{"acted": {acted, maxActed}, "one action": {acted[:1], 1}, "dry run": {dryRunReaper().Actions, 0}, "no action": {nil, 0}} {
		d := get(t, pageOf(shop(), nil, func() status.Status { return status.Status{Enforcing: true, Actions: test.actions} }), "/")
		requireHarmless(t, d)
		section := d.all(atom.Section, "acted")
		if test.top == 0 {
			if len(section) > 0 {
				t.Errorf("%s: the top says %s", name, text(section[0]))
			}
			continue
		}
		if len(section) != 1 || len((&document{Node: section[0]}).all(atom.Li, "")) != test.top {
			t.Fatalf("%s: %d sections, want one with %d actions", name, len(section), test.top)
		}
		at, table := strings.Index(d.source, "The reaper has acted"), strings.Index(d.source, "Leaking processes")
		if at < 0 || at > table || !strings.Contains(text(section[0]), fmt.Sprintf("signal TERM java %d", 1)) {
			t.Errorf("%s: not above the processes, or without the newest action: %s", name, text(section[0]))
		}
	}
}

func requireStatus(t *testing.T, d *document, want int) {
	t.Helper()
	if d.status != want {
		t.Errorf("status %d, want %d", d.status, want)
	}
}
