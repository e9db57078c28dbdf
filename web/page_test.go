package web

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestAHungScanIsToldToAReaderInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, hung, nil)
		started := time.Now()
		answer := f.ask(http.MethodGet, "/")
		if took := time.Since(started); took != pageTimeout || answer.Code != http.StatusServiceUnavailable {
			t.Errorf("status %d after %s, want 503 after %s", answer.Code, took, pageTimeout)
		}
	})
}

func TestReadersKeepNoScrapeOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, hung, func(o *Options) { o.MaxRequests = 2 })
		answers := make(chan *httptest.ResponseRecorder, 2)
		for range cap(answers) {
			go func() { answers <- f.ask(http.MethodGet, "/") }()
		}
		synctest.Wait()
		refused := f.ask(http.MethodGet, "/")
		if refused.Code != http.StatusServiceUnavailable || !strings.Contains(refused.Body.String(), "Limit of 2 concurrent pages reached") {
			t.Errorf("status %d and %q for a page above the limit", refused.Code, refused.Body)
		}
		if code := f.ask(http.MethodGet, "/metrics", scrapeTimeoutHeader+": 1").Code; code != http.StatusOK {
			t.Errorf("status %d for a scrape meanwhile", code)
		}
		for range cap(answers) {
			<-answers
		}
	})
}
