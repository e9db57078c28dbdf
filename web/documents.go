package web

import (
	"io/fs"
	"net/http"
)

// serveDocument serves a document as plain text, because most browsers download text/markdown
// instead of showing it.
func serveDocument(documents fs.FS) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		text, err := fs.ReadFile(documents, r.PathValue("name"))
		if err != nil {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		_, _ = w.Write(text)
	}
}
