package page

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html/atom"
)

// TestThePageAndListUseTheSameWords: the page has some columns of list, under the same titles.
func TestThePageAndListUseTheSameWords(t *testing.T) {
	var table strings.Builder
	if err := shopOverTime().Processes(&table, 0); err != nil {
		t.Fatal(err)
	}
	template, err := os.ReadFile("templates/report.html")
	if err != nil {
		t.Fatal(err)
	}
	heading, _, _ := strings.Cut(table.String(), "\n")
	for _, c := range columns {
		if title := strings.ToUpper(c.title); !slices.Contains(strings.Fields(heading), title) {
			t.Errorf("the page has a column %s, list has %s", title, heading)
		}
	}
	for _, label := range regexp.MustCompile(`data-label="(\w+)"`).FindAllStringSubmatch(string(template), -1) {
		if !slices.ContainsFunc(columns, func(c column) bool { return c.title == label[1] }) {
			t.Errorf("on a phone a cell is called %s, which is no column", label[1])
		}
	}
}

func TestLinksSortTheTable(t *testing.T) {
	worstFirst := "4211 31822 77 1203 18 911 2207"
	tests := map[string]string{ // query: pids from the top
		"":                            worstFirst,
		"?sort=sockets":               "4211 31822 911 2207 77 18 1203",
		"?sort=sockets&order=asc":     "1203 18 77 2207 911 31822 4211",
		"?sort=pid":                   "18 77 911 1203 2207 4211 31822",
		"?sort=pid&order=desc":        "31822 4211 2207 1203 911 77 18",
		"?sort=group":                 "31822 2207 911 77 18 4211 1203",
		"?sort=other":                 "1203 77 4211 31822 18 911 2207",
		"?sort=oldest":                "4211 31822 1203 911 77 18 2207",
		"?sort=oldest&order=asc":      "2207 18 77 911 1203 31822 4211",
		"?sort=unread":                "911 18 4211 31822 77 1203 2207",
		"?sort=fds":                   "4211 31822 77 1203 18 911 2207",
		"?sort=service":               "1203 911 2207 4211 18 77 31822",
		"?sort=remote":                "1203 2207 31822 77 4211 18 911",
		"?sort=nonsense":              worstFirst,
		"?sort=<script>&order=desc":   worstFirst,
		"?order=nonsense":             worstFirst,
		"?order=asc":                  worstFirst,
		"?sort=pid&order=nonsense":    "18 77 911 1203 2207 4211 31822",
		"?sort=pid&sort=oldest&x=%zz": "18 77 911 1203 2207 4211 31822",
	}
	p := pageOf(shop(), nil, nil)
	for query, want := range tests {
		d := get(t, p, "/"+query)
		if diff := cmp.Diff(strings.Fields(want), d.column("pid")); diff != "" {
			t.Errorf("%s: -want +got:\n%s", query, diff)
		}
	}
}

// TestEveryHeadingIsALinkThatWorks follows each link twice: the second time it reverses the order.
func TestEveryHeadingIsALinkThatWorks(t *testing.T) {
	p := pageOf(shop(), nil, nil)
	for _, c := range columns {
		t.Run(c.key, func(t *testing.T) {
			first := get(t, p, "/"+link(t, get(t, p, "/?sort=pid&order=asc"), c.key))
			second := get(t, p, "/"+link(t, first, c.key))
			reversed := first.column("pid")
			slices.Reverse(reversed)
			if c.key == "pid" || c.key == "oldest" { // no two rows are the same there
				if diff := cmp.Diff(reversed, second.column("pid")); diff != "" {
					t.Errorf("the second time -want +got:\n%s", diff)
				}
			}
			if a, b := sorted(t, first, c.key), sorted(t, second, c.key); a == b {
				t.Errorf("aria-sort is %s both times", a)
			}
		})
	}
}

// link is the link of a heading.
func link(t *testing.T, d *document, class string) string {
	t.Helper()
	heading := &document{Node: d.all(atom.Thead, "")[0]}
	for _, th := range heading.all(atom.Th, class) {
		for _, a := range (&document{Node: th}).all(atom.A, "") {
			return attribute(a, "href")
		}
	}
	t.Fatalf("no link in the heading of %s", class)
	return ""
}

// sorted is the aria-sort of a column. No other column may have one.
func sorted(t *testing.T, d *document, class string) string {
	t.Helper()
	sorted := ""
	for _, th := range d.all(atom.Th, "") {
		if direction := attribute(th, "aria-sort"); direction != "" {
			if sorted != "" || attribute(th, "class") != class {
				t.Errorf("column %s has aria-sort, want %s alone", attribute(th, "class"), class)
			}
			sorted = direction
		}
	}
	return sorted
}

// The column of sockets shows only held ones, so it does not decide which process is the worst.
func TestTheWorstIsTheOneWithMostSocketsOfAllKinds(t *testing.T) {
	p := pageOf(reportOf(
		leak{Process: program(1, "", "queue", 1, 2), remote: "10.0.0.1:1", ages: spread(5, time.Hour, time.Hour), unaccepted: 4},
		leak{Process: program(2, "", "holder", 1, 2), remote: "10.0.0.1:1", ages: spread(3, time.Hour, time.Hour)},
	), nil, nil)
	first := get(t, p, "/")
	if got := strings.Join(first.column("pid"), " "); got != "1 2" {
		t.Errorf("the order is %s, want worst first", got)
	}
	first.want(t, "worst first")
	if got := strings.Join(get(t, p, "/"+link(t, first, "sockets")).column("pid"), " "); got != "2 1" {
		t.Errorf("sorted by sockets the order is %s", got)
	}
}
