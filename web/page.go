package web

import (
	"context"
	"net/http"
	"time"
)

// pagePatience is how long the scan for a person may take: more than a scan of a large host needs, and
// as long as people wait for a page that says nothing yet.
const pagePatience = 10 * time.Second

// newPage limits a page as scrapes are limited. It has a limit of its own, so that readers keep no scrape out.
func newPage(o Options) http.Handler {
	return limitRequests(o.MaxRequests, "pages", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), pagePatience)
		defer cancel()
		o.Page.ServeHTTP(w, r.WithContext(ctx))
	}))
}
