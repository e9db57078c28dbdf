package page

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html/atom"
)

func TestLinksFilterTheTable(t *testing.T) {
	const all = "4211 31822 77 1203 18 911 2207"
	tests := map[string]struct{ pids, filter string }{
		"":                                {all, ""},
		"?group=shop.service":             {"4211", "Only processes of group shop.service. Show all"},
		"?port=443":                       {"77 911", "Only processes with ended connections of service port 443. Show all"},
		"?port=443&sort=pid&order=desc":   {"911 77", "Only processes with ended connections of service port 443. Show all"},
		"?port=443&group=haproxy.service": {"77", "Only processes of group haproxy.service with ended connections of service port 443. Show all"},
		"?group=gone.service":             {"", "Only processes of group gone.service. Show all"},
		"?port=0":                         {all, ""},
		"?port=65536":                     {all, ""},
		"?port=-1":                        {all, ""},
		"?group=":                         {all, ""},
	}
	p := pageOf(shop(), nil, nil)
	for query, test := range tests {
		d := get(t, p, "/"+query)
		if diff := cmp.Diff(strings.Fields(test.pids), d.column("pid")); diff != "" && test.pids != "" || test.pids == "" && len(d.column("pid")) > 0 {
			t.Errorf("%s: -want +got:\n%s", query, diff)
		}
		filter := ""
		for _, p := range d.all(atom.P, "filter") {
			filter = text(p)
		}
		if filter != test.filter {
			t.Errorf("%s: the page says %q, want %q", query, filter, test.filter)
		}
		d.want(t, "6 processes hold ended connections", "1066 ended connections") // of the host, whatever the table shows
	}
}

// TestLinksKeepTheRestOfTheQuery follows a filter, an order and a refresh one after the other.
func TestLinksKeepTheRestOfTheQuery(t *testing.T) {
	p := pageOf(shop(), nil, nil)
	d := get(t, p, "/?port=443&refresh=30")
	d = get(t, p, "/"+link(t, d, "pid"))
	if got := strings.Join(d.column("pid"), " "); got != "77 911" {
		t.Errorf("sorted by pid the table has %s", got)
	}
	wanted := map[string]string{
		"Refresh":                    "?port=443&sort=pid&order=asc&refresh=30",
		"stop refreshing every 30 s": "?port=443&sort=pid&order=asc",
		"haproxy.service":            "?group=haproxy.service&port=443&sort=pid&order=asc&refresh=30",
		"Show all":                   "?sort=pid&order=asc&refresh=30",
		"77":                         "process?pid=77&refresh=30",
		"out :443":                   "?port=443&sort=pid&order=asc&refresh=30",
	}
	for words, want := range wanted {
		if got := linkOf(t, d, words); got != want {
			t.Errorf("%s leads to %s, want %s", words, got, want)
		}
	}
}

// linkOf is the address of the first link with a text.
func linkOf(t *testing.T, d *document, words string) string {
	t.Helper()
	for _, a := range d.all(atom.A, "") {
		if text(a) == words {
			return attribute(a, "href")
		}
	}
	t.Fatalf("no link %q", words)
	return ""
}

func TestThePageRefreshesItselfOnRequestOnly(t *testing.T) {
	tests := map[string]string{"": "", "?refresh=10": "10", "?refresh=3600": "3600", "?refresh=4": "", "?refresh=3601": "", "?refresh=-1": "", "?refresh=1%3Burl%3D//x": "", "?refresh=x": ""}
	for query, want := range tests {
		for name, d := range map[string]*document{"host": get(t, pageOf(shop(), nil, nil), "/"+query), "process": getProcess(t, pageOf(shop(), nil, nil), query)} {
			got := ""
			for _, meta := range d.all(atom.Meta, "") {
				if attribute(meta, "http-equiv") == "refresh" {
					got = attribute(meta, "content")
				}
			}
			if got != want {
				t.Errorf("%s of the page of the %s: every %q s, want %q", query, name, got, want)
			}
		}
	}
}

func TestAGroupOfAnyNameCanBeChosen(t *testing.T) {
	p := pageOf(hostile(), nil, nil)
	for _, a := range get(t, p, "/").all(atom.A, "") {
		address := attribute(a, "href")
		if !strings.HasPrefix(address, "?group=") {
			continue
		}
		if rows := get(t, p, "/"+address).column("pid"); len(rows) == 0 {
			t.Errorf("%s shows no process", address)
		}
	}
}
