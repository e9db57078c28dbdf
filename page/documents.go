package page

import (
	"io/fs"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"
)

// Documents is the http.Handler of the documents, with an index at /. Markdown becomes a page, all
// other files are shown as text.
type Documents struct {
	frame frame
	files map[string]*servedFile // by address
	index []documentLink
}

// servedFile is a file at its place in the repository.
type servedFile struct {
	path string
	text []byte
	html func() rendered // nil: it is not Markdown
}

// documentLink is a line of the index.
type documentLink struct {
	Title, Address string
	Sections       []section
}

// documentContent is what the template of a document shows.
type documentContent struct {
	frame
	Document rendered
	Index    []documentLink // of the index alone
}

// NewDocuments returns the Documents of a file system, or none if it is nil. It uses the name of
// the host, the version and the links of the options.
func NewDocuments(files fs.FS, o Options) (*Documents, error) {
	d := &Documents{frame: newFrame(&o), files: map[string]*servedFile{}}
	if files == nil {
		return d, nil
	}
	err := fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		f := &servedFile{path: name, text: text}
		if path.Ext(name) == ".md" {
			f.html = sync.OnceValue(func() rendered { return render(f.text, func(link string) string { return d.link(f.path, link) }) })
		}
		d.files[addressOf(name)] = f
		return nil
	})
	for address := range d.files {
		d.index = append(d.index, documentLink{Address: address})
	}
	slices.SortFunc(d.index, func(a, b documentLink) int {
		return strings.Compare(path.Dir(a.Address)+"/"+a.Address, path.Dir(b.Address)+"/"+b.Address)
	})
	return d, err
}

// link is the address of a link in a file, empty if it leads to a file that is not served.
func (d *Documents) link(file, to string) string {
	target, anchor := resolve(file, to)
	if d.files[addressOf(target)] == nil {
		return ""
	}
	return relative(addressOf(file), addressOf(target)) + anchor
}

// ServeHTTP answers with a document, below the path /.
func (d *Documents) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	address := strings.TrimPrefix(r.URL.Path, "/")
	f := d.files[address]
	switch {
	case address == "":
		respond(w, http.StatusOK, "document.html", d.contents())
	case f == nil:
		http.NotFound(w, r)
	case f.html == nil:
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		_, _ = w.Write(f.text)
	default:
		c := &documentContent{frame: d.frame.below(strings.Count(address, "/") + 1), Document: f.html()}
		c.Title = c.Document.Title + " · closewait_exporter"
		respond(w, http.StatusOK, "document.html", c)
	}
}

// contents is the index of all documents.
func (d *Documents) contents() *documentContent {
	c := &documentContent{frame: d.frame.below(1), Document: rendered{Title: "Documents"}}
	c.Title = "Documents · closewait_exporter"
	for _, l := range d.index {
		l.Title = l.Address
		if f := d.files[l.Address]; f.html != nil {
			l.Title, l.Sections = f.html().Title, f.html().Sections
		}
		c.Index = append(c.Index, l)
	}
	return c
}
