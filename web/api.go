package web

import (
	"context"
	"net/http"
)

// newAPI limits concurrent requests of programs like pages, and apart from them.
func newAPI(o Options) http.Handler {
	return limitRequests(o.MaxRequests, "API requests", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), pageTimeout)
		defer cancel()
		o.API.ServeHTTP(w, r.WithContext(ctx))
	}))
}
