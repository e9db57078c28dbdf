package web

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// slowReader is how long a client may take to read its answer while other requests need its slot,
// and how long these wait for one.
const slowReader = time.Second

// retryInterval is the time between two attempts to take a slot.
const retryInterval = slowReader / 10

// slots limits the number of concurrent requests. When all are taken by clients that read slowly,
// the slowest is cut off, so that clients that do not read at all cannot lock Prometheus out.
type slots struct {
	limit int

	mu    sync.Mutex
	taken map[*slot]struct{}
}

// slot is the place of one request. It is the ResponseWriter of its handler.
type slot struct {
	http.ResponseWriter
	slots   *slots
	writing time.Time // when the handler began to write; zero before. The mutex of slots protects it
}

// limitRequests limits the number of concurrent requests; 0 means no limit. The limit of promhttp
// is per handler, and here every scrape has its own handler.
func limitRequests(limit int, what string, next http.Handler) http.Handler {
	if limit == 0 {
		return next
	}
	s := &slots{limit: limit, taken: map[*slot]struct{}{}}
	refusal := fmt.Sprintf("Limit of %d concurrent %s reached (--web.max-requests).", limit, what)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		place := &slot{ResponseWriter: w, slots: s}
		if !s.take(r.Context(), place) {
			http.Error(w, refusal, http.StatusServiceUnavailable)
			return
		}
		defer s.release(place)
		next.ServeHTTP(place, r)
	})
}

// take waits for a slot, for at most slowReader.
func (s *slots) take(ctx context.Context, place *slot) bool {
	for arrived := time.Now(); !s.tryTake(place); {
		if ctx.Err() != nil || time.Since(arrived) >= slowReader {
			return false
		}
		select {
		case <-time.After(retryInterval):
		case <-ctx.Done():
		}
	}
	return true
}

func (s *slots) tryTake(place *slot) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.taken) >= s.limit && !s.cutSlowest() {
		return false
	}
	s.taken[place] = struct{}{}
	return true
}

// cutSlowest takes the slot of the slowest reader. The handler has not returned, because release
// needs the mutex, so the connection cannot have begun another request.
func (s *slots) cutSlowest() bool {
	var slowest *slot
	for place := range s.taken {
		if !place.writing.IsZero() && (slowest == nil || place.writing.Before(slowest.writing)) {
			slowest = place
		}
	}
	if slowest == nil || time.Since(slowest.writing) < slowReader {
		return false
	}
	delete(s.taken, slowest)
	past := time.Unix(1, 0)
	_ = http.NewResponseController(slowest.ResponseWriter).SetWriteDeadline(past)
	return true
}

func (s *slots) release(place *slot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.taken, place)
}

// Write implements http.ResponseWriter.
func (p *slot) Write(b []byte) (int, error) {
	p.slots.mu.Lock()
	if p.writing.IsZero() {
		p.writing = time.Now()
	}
	p.slots.mu.Unlock()
	return p.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController find the connection.
func (p *slot) Unwrap() http.ResponseWriter { return p.ResponseWriter }
