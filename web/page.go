package web

import (
	"context"
	"net/http"
	"time"
)

// pageTimeout is how long the scan for a page may take: longer than a scan of a large host, and
// about as long as people wait for an empty page.
const pageTimeout = 10 * time.Second

// newPage limits concurrent pages like scrapes. The limits are separate, so that readers of the
// page cannot block scrapes.
func newPage(o Options) http.Handler {
	return limitRequests(o.MaxRequests, "pages", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), pageTimeout)
		defer cancel()
		o.Page.ServeHTTP(w, r.WithContext(ctx))
	}))
}
