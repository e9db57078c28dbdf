package page

import (
	"bytes"
	"html/template"
	"net/url"
	"path"
	"strconv"
	"strings"
	"unicode"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	gmtext "github.com/yuin/goldmark/text"
)

// section is a heading of a document.
type section struct {
	Title, Anchor string
}

// rendered is a document as HTML.
type rendered struct {
	Title    string
	Body     template.HTML // without the title
	Sections []section     // headings of the second level
}

// markdown renders documents of the repository. Raw HTML in them is left out.
var markdown = goldmark.New(goldmark.WithExtensions(extension.Table), goldmark.WithParserOptions(parser.WithAutoHeadingID()))

// render renders a document. link returns the address of a relative link, empty for a link to what
// is not served, of which only the text is shown. Pictures are left out.
func render(source []byte, link func(string) string) rendered {
	root := markdown.Parser().Parse(gmtext.NewReader(source), parser.WithContext(parser.NewContext(parser.WithIDs(anchors{}))))
	var r rendered
	var links []*ast.Link
	var remove []ast.Node
	_ = ast.Walk(root, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.Heading:
			if n.Level == 1 && r.Title == "" {
				r.Title = plain(n, source)
				remove = append(remove, n)
			} else if n.Level == 2 {
				id, _ := n.AttributeString("id")
				anchor, _ := id.([]byte)
				r.Sections = append(r.Sections, section{plain(n, source), string(anchor)})
			}
		case *ast.Link:
			links = append(links, n)
		case *ast.Image:
			remove = append(remove, n)
		}
		return ast.WalkContinue, nil // the walker returns no errors of its own
	})
	for _, l := range links {
		relink(l, link)
	}
	for _, n := range remove {
		n.Parent().RemoveChild(n.Parent(), n)
	}
	var out bytes.Buffer
	_ = markdown.Renderer().Render(&out, source, root) // writing to a buffer does not fail
	// A cell without text is no heading of a column.
	r.Body = template.HTML(strings.ReplaceAll(out.String(), "<th></th>", "<td></td>")) //nolint:gosec // from a document of this version
	return r
}

// relink gives a link its address in the exporter, or puts its text in its place.
func relink(l *ast.Link, link func(string) string) {
	destination := string(l.Destination)
	if u, err := url.Parse(destination); err == nil && (u.Scheme != "" || strings.HasPrefix(destination, "#")) {
		return
	}
	if address := link(destination); address != "" {
		l.Destination = []byte(address)
		return
	}
	parent := l.Parent()
	for child := l.FirstChild(); child != nil; child = l.FirstChild() {
		parent.InsertBefore(parent, l, child) // removes it from the link
	}
	parent.RemoveChild(parent, l)
}

// plain is the text of a node without its markup.
func plain(n ast.Node, source []byte) string {
	var out strings.Builder
	_ = ast.Walk(n, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		switch n := n.(type) {
		case *ast.Text:
			if entering {
				out.Write(n.Value(source))
			}
		case *ast.String:
			if entering {
				out.Write(n.Value)
			}
		}
		return ast.WalkContinue, nil
	})
	return out.String()
}

// anchors makes the ids of headings as GitHub does, so that links work there and here. The values
// are how often each id has been used.
type anchors map[string]int

// Generate implements parser.IDs.
func (a anchors) Generate(heading []byte, _ ast.NodeKind) []byte {
	id := strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-', r == '_', unicode.IsLetter(r), unicode.IsDigit(r):
			return unicode.ToLower(r)
		}
		return -1
	}, strings.TrimSpace(string(heading)))
	used := a[id]
	a[id]++
	if used > 0 {
		id += "-" + strconv.Itoa(used)
	}
	return []byte(id)
}

// Put implements parser.IDs.
func (a anchors) Put(id []byte) { a[string(id)]++ }

// addressOf is where a file of the repository is served below /docs/: the files of docs/ directly
// there, the others in their directories.
func addressOf(file string) string { return strings.TrimPrefix(file, "docs/") }

// relative is the address of a served file for a link in another one.
func relative(from, to string) string { return strings.Repeat("../", strings.Count(from, "/")) + to }

// resolve returns the file that a link in another file leads to, and the anchor with its #.
func resolve(file, link string) (target, anchor string) {
	target, anchor, found := strings.Cut(link, "#")
	if found {
		anchor = "#" + anchor
	}
	return path.Join(path.Dir(file), target), anchor
}
