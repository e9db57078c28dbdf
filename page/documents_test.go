package page

import (
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"golang.org/x/net/html/atom"
)

// served are files of the repository like the ones that the program embeds.
func served(t *testing.T) fs.FS {
	t.Helper()
	files, root := fstest.MapFS{}, os.DirFS("..")
	for _, pattern := range []string{"README.md", "SECURITY.md", "docs/*.md", "docs/decisions/*.md", "alerts/README.md", "alerts/closewait.rules.yml"} {
		names, err := fs.Glob(root, pattern)
		if err != nil || len(names) == 0 {
			t.Fatalf("no %s: %v", pattern, err)
		}
		for _, name := range names {
			text, err := fs.ReadFile(root, name)
			if err != nil {
				t.Fatal(err)
			}
			files[name] = &fstest.MapFile{Data: text}
		}
	}
	return files
}

func documentsOf(t *testing.T, files fs.FS) *Documents {
	t.Helper()
	d, err := NewDocuments(files, pageOf(nil, nil, nil).options)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func ids(d *document) []string {
	var all []string
	for n := range d.Descendants() {
		if id := attribute(n, "id"); id != "" {
			all = append(all, id)
		}
	}
	return all
}

// TestAllLinksInTheDocumentsWork follows every relative link of every document, from the index on,
// and finds what it points to in the document.
func TestAllLinksInTheDocumentsWork(t *testing.T) {
	handler := documentsOf(t, served(t))
	pages := map[string]*document{}
	follow := []string{"/"}
	for len(follow) > 0 {
		at := follow[0]
		follow = follow[1:]
		if pages[at] != nil {
			continue
		}
		d := get(t, handler, at)
		requireStatus(t, d, http.StatusOK)
		pages[at] = d
		for _, a := range d.all(atom.A, "") {
			target, _, _ := strings.Cut(attribute(a, "href"), "#")
			address := path.Join(path.Dir("/docs"+at), target)
			if below, isDocument := strings.CutPrefix(address, "/docs/"); isDocument && !strings.Contains(target, ":") && target != "" {
				follow = append(follow, "/"+below)
			}
		}
	}
	if len(pages) < 25 || pages["/decisions/host-lock.md"] == nil || pages["/SECURITY.md"] == nil || pages["/alerts/README.md"] == nil {
		t.Errorf("only %d documents can be reached", len(pages))
	}
	for at, d := range pages {
		requireAnchors(t, pages, at, d)
	}
}

// requireAnchors checks that the part behind # of each link exists in the document that it is for.
func requireAnchors(t *testing.T, pages map[string]*document, at string, d *document) {
	t.Helper()
	for _, a := range d.all(atom.A, "") {
		target, anchor, found := strings.Cut(attribute(a, "href"), "#")
		if !found || strings.Contains(target, ":") {
			continue
		}
		to := d
		if target != "" {
			to = pages[strings.TrimPrefix(path.Join(path.Dir("/docs"+at), target), "/docs")]
		}
		if to == nil || !slices.Contains(ids(to), anchor) {
			t.Errorf("%s links to %s#%s, which does not exist", at, target, anchor)
		}
	}
}

func TestADocumentIsAPage(t *testing.T) {
	files := fstest.MapFS{
		"docs/A.md": {Data: []byte("# The *title*\n\n![a picture](x.png)\n\nSee [B](../B.md#two-words), [code](../main.go) and [there](https://example.com/).\n\n" +
			"## One `x_y`, 1%\n\n| | n |\n|---|---|\n| a | 1 |\n\n## One `x_y`, 1%\n\n<script>alert(1)</script>\n\n```\na <b>\n```\n")},
		"B.md":           {Data: []byte("# B\n\n## Two words\n\n[A](docs/A.md)\n")},
		"deploy/a.yml":   {Data: []byte("a: <b>\n")},
		"docs/sub/C.md":  {Data: []byte("# C\n\n[A](../A.md) [B](../../B.md)\n")},
		"docs/empty.txt": {},
	}
	handler := documentsOf(t, files)
	d := get(t, handler, "/A.md")
	requireStatus(t, d, http.StatusOK)
	d.want(t, "The title", "See B , code and there .", "One x_y , 1%", "a <b>")
	if links := hrefs(d); !slices.Contains(links, "B.md#two-words") || !slices.Contains(links, "https://example.com/") || !slices.Contains(links, "#one-x_y-1") ||
		slices.ContainsFunc(links, func(l string) bool { return strings.Contains(l, "main.go") }) {
		t.Errorf("links: %q", links)
	}
	if got := ids(d); !slices.Equal(got, []string{"one-x_y-1", "one-x_y-1-1"}) {
		t.Errorf("anchors: %q", got)
	}
	if len(d.all(atom.Script, "")) > 0 || len(d.all(atom.Img, "")) > 0 || len(d.all(atom.H1, "")) != 1 || len(d.all(atom.Th, "")) != 1 {
		t.Errorf("it has a script, a picture, not one title, or an empty heading:\n%s", d.source)
	}
	if d.header.Get("Content-Security-Policy") != policy || strings.Contains(policy, "script-src") {
		t.Errorf("the policy is %q", d.header)
	}
	if got := hrefs(get(t, handler, "/sub/C.md")); !slices.Contains(got, "../A.md") || !slices.Contains(got, "../B.md") || !slices.Contains(got, "../../metrics") || !slices.Contains(got, "../../") {
		t.Errorf("links of a document in a directory: %q", got)
	}
	if got := hrefs(get(t, handler, "/")); !slices.Contains(got, "A.md") || !slices.Contains(got, "sub/C.md") || !slices.Contains(got, "B.md#two-words") || !slices.Contains(got, "../metrics") {
		t.Errorf("links of the index: %q", got)
	}
	for _, missing := range []string{"/docs/A.md", "/main.go", "/sub", "/sub/", "/../B.md"} {
		requireStatus(t, get(t, handler, missing), http.StatusNotFound)
	}
}

func TestOtherFilesAreShownAsText(t *testing.T) {
	w := httptest.NewRecorder()
	documentsOf(t, served(t)).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/alerts/closewait.rules.yml", nil))
	if got := w.Header(); got.Get("Content-Type") != "text/plain; charset=utf-8" || got.Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(w.Body.String(), "alert: ClosewaitLeak") {
		t.Errorf("header %v", got)
	}
}

func hrefs(d *document) []string {
	var all []string
	for _, a := range d.all(atom.A, "") {
		all = append(all, attribute(a, "href"))
	}
	return all
}
