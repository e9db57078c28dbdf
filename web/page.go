package web

import (
	"context"
	"net/http"
	"time"
)

// pageTimeout is how long the scan for a page may take: longer than a scan of a large host, and
// about as long as people wait for an empty page.
const pageTimeout = 10 * time.Second

// newPages returns the handler of the pages that need a scan. It limits how many are served at the
// same time, like scrapes. The limits are separate, so that readers of the pages cannot block
// scrapes.
func newPages(o Options) http.Handler {
	pages := http.NewServeMux()
	pages.Handle(rootPath+"{$}", o.Page)
	pages.Handle(ProcessPath, o.Process)
	return limitRequests(o.MaxRequests, "pages", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), pageTimeout)
		defer cancel()
		pages.ServeHTTP(w, r.WithContext(ctx))
	}))
}
