package page

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"closewait_exporter/closewait"
	"closewait_exporter/diagnose"
	"closewait_exporter/reaper/status"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// elements are the only elements of the pages. There is no script, form, frame or image.
var elements = strings.Fields(`html head meta title link style body header main footer nav section div p h1 h2 h3 ul ol li dl dt dd
	a br strong code span time table caption thead tbody tr th td svg rect`)

// attributes are the only attributes of elements. There are no event handlers and no styles.
var attributes = strings.Fields(`lang charset name content rel href title class id role aria-label aria-labelledby aria-hidden aria-sort focusable
	http-equiv datetime scope data-label viewbox preserveaspectratio width height x`)

// ownLink matches the links of the page: to other pages, to documents, and to the page itself with
// another query.
var ownLink = regexp.MustCompile(`^(metrics|-/[a-z]+|docs/[A-Z]+\.md(#[a-z-]+)?|\?(sort|group|port|refresh)=\S*|process\?pid=\d+(&refresh=\d+)?|\./|#[a-z]+)$`)

// requireHarmless finds elements and attributes that only an unescaped name can have added.
func requireHarmless(t *testing.T, d *document) {
	t.Helper()
	if !utf8.ValidString(d.source) {
		t.Error("it is not UTF-8")
	}
	for _, r := range d.source {
		if r != '\n' && (unicode.IsControl(r) || unicode.In(r, unicode.Bidi_Control)) {
			t.Errorf("%U is in it", r)
		}
	}
	for n := range d.Descendants() {
		if n.Type == html.CommentNode || n.Type == html.ElementNode && !slices.Contains(elements, strings.ToLower(n.Data)) {
			t.Errorf("there is a <%s>", n.Data)
		}
		for _, a := range n.Attr {
			if !slices.Contains(attributes, strings.ToLower(a.Key)) {
				t.Errorf("<%s> has an attribute %s=%q", n.Data, a.Key, a.Val)
			}
			if a.Key == "href" && n.Data == "a" && !ownLink.MatchString(a.Val) {
				t.Errorf("a link leads to %q", a.Val)
			}
		}
	}
}

func TestHostileNamesAreTextAndNothingElse(t *testing.T) {
	d := get(t, pageOf(hostile(), nil, hostileReaper), "/")
	requireHarmless(t, d)
	d.want(t, "<script>alert(1)</script> 100", `a\nroot 1 init`, `\u202egpj.exe`, `half\xe2\x82`, `\x1b]0;pwn\a`, `{{.Host}}`)
	if rows := d.column("pid"); len(rows) != len(names) {
		t.Errorf("%d rows, want %d", len(rows), len(names))
	}
	plain := get(t, pageOf(shop(), nil, dryRunReaper), "/")
	requireHarmless(t, plain)
}

func FuzzNames(f *testing.F) {
	for _, name := range names {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		named := func() status.Status {
			n := status.Entry{Since: now, Until: now, Rule: "r", Mode: dryRun, Group: name, PID: 7, Comm: name, What: "act", Why: name}
			return status.Status{Decisions: []status.Entry{n}, Actions: []status.Entry{n}, Suspended: []string{name}}
		}
		r := reportOf(leak{Process: program(7, name, name, 1, 2), remote: "10.0.0.1:1", ages: spread(1, 0, 0)})
		p := pageOf(r, nil, named)
		p.options.Host = name
		d := get(t, p, "/?sort=group")
		requireHarmless(t, d)
		requireHarmless(t, getProcess(t, p, "?pid=7"))
		if got := d.column("pid"); len(got) != 1 || got[0] != "7" {
			t.Errorf("the rows are %q", got)
		}
	})
}

func FuzzQuery(f *testing.F) {
	f.Add("sort=pid&order=desc")
	f.Add(`sort="><script>`)
	f.Add("%00=;&&sort[]=1")
	f.Add("group=%3Cscript%3E&port=443&refresh=10&pid=4211")
	f.Fuzz(func(t *testing.T, query string) {
		d := get(t, pageOf(shop(), nil, nil), "/?"+strings.Map(inURL, query))
		requireHarmless(t, d)
		if rows := d.column("pid"); len(rows) != 7 && len(d.all(atom.P, "filter")) == 0 {
			t.Errorf("%d rows without a filter", len(rows))
		}
		requireHarmless(t, getProcess(t, pageOf(shop(), nil, dryRunReaper), "?"+strings.Map(inURL, query)))
	})
}

// inURL removes the characters that a request line cannot have.
func inURL(r rune) rune {
	if r <= ' ' || r >= unicode.MaxASCII {
		return -1
	}
	return r
}

func TestThePolicyForbidsEverythingButOurStyle(t *testing.T) {
	d := get(t, pageOf(shop(), nil, nil), "/")
	policy := d.header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "form-action 'none'", "frame-ancestors 'none'", "base-uri 'none'"} {
		if !strings.Contains(policy, want) {
			t.Errorf("no %s in %q", want, policy)
		}
	}
	if strings.Contains(policy, "unsafe") || strings.Contains(policy, "script-src") || strings.Contains(policy, "http") {
		t.Errorf("the policy permits too much: %q", policy)
	}
	styles := d.all(atom.Style, "")
	if len(styles) != 1 || !strings.Contains(policy, "style-src 'sha256-"+hash(styles[0].FirstChild.Data)+"'") {
		t.Errorf("the style sheet does not match the policy %q", policy)
	}
	for header, want := range map[string]string{
		"Content-Type": "text/html; charset=utf-8", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store",
	} {
		if got := d.header.Get(header); got != want {
			t.Errorf("%s: %q, want %q", header, got, want)
		}
	}
}

func TestNothingIsFetchedFromElsewhere(t *testing.T) {
	d := get(t, pageOf(shop(), nil, dryRunReaper), "/")
	for n := range d.Descendants() {
		for _, a := range n.Attr {
			if (a.Key == "href" || a.Key == "src") && strings.Contains(a.Val, "//") && !strings.HasPrefix(a.Val, "data:") {
				t.Errorf("<%s %s=%q>", n.Data, a.Key, a.Val)
			}
		}
	}
	if strings.Contains(style, "url(") || strings.Contains(style, "@import") || strings.Contains(style, "@font-face") {
		t.Error("the style sheet fetches something")
	}
}

func TestThePageIsAccessible(t *testing.T) {
	d := get(t, pageOf(shop(), nil, dryRunReaper), "/")
	for kind, wanted := range map[atom.Atom]int{atom.Title: 1, atom.H1: 1, atom.Main: 1, atom.Table: 2, atom.Caption: 2} {
		found := d.all(kind, "")
		outsideOfImages := slices.DeleteFunc(found, func(n *html.Node) bool { return n.Parent.DataAtom == atom.Svg })
		if len(outsideOfImages) != wanted {
			t.Errorf("%d <%s>, want %d", len(outsideOfImages), kind, wanted)
		}
	}
	if got := attribute(d.all(atom.Html, "")[0], "lang"); got != "en" {
		t.Errorf("lang is %q", got)
	}
	for _, th := range d.all(atom.Th, "") {
		if scope := attribute(th, "scope"); scope != "col" && scope != "row" {
			t.Errorf("%q has scope %q", text(th), scope)
		}
	}
	ids := map[string]bool{}
	for n := range d.Descendants() {
		if id := attribute(n, "id"); id != "" {
			if ids[id] {
				t.Errorf("two elements have the id %s", id)
			}
			ids[id] = true
		}
	}
	for _, section := range d.all(atom.Section, "") {
		if by := attribute(section, "aria-labelledby"); by != "" && !ids[by] {
			t.Errorf("a section is labelled by %s, which is not there", by)
		}
	}
	for _, image := range d.all(atom.Svg, "") {
		if attribute(image, "aria-hidden") != strconv.FormatBool(true) && attribute(image, "aria-label") == "" {
			t.Errorf("an image without a text: %v", image.Attr)
		}
	}
}

func TestAVerdictIsShownAsText(t *testing.T) {
	r := reportOf(leak{program(7, "", "shop", 10, 1024), 80, closewait.Inbound, "10.0.0.1:40000", []uint32{0}, spread(3, time.Hour, time.Minute), 0, 0, 0, 0})
	r.Verdicts = map[closewait.ProcessID]diagnose.Verdict{r.Listed[0].ID: {Kind: diagnose.NeverCloses, Summary: "It <b>never</b> closes\x07."}}
	d := get(t, pageOf(r, nil, nil), "/")
	requireHarmless(t, d)
	d.want(t, `It <b>never</b> closes\a.`)
}
