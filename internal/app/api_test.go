package app

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-kit/log"

	"closewait_exporter/closewait"
	"closewait_exporter/history"
	"closewait_exporter/web"
)

func TestTheAPISaysWhyAScanFailed(t *testing.T) {
	scan := func(context.Context) (*closewait.Snapshot, error) { return nil, errors.New("no \x1b/proc") }
	s := &server{options: &options{}, health: web.NewHealth(log.NewNopLogger())}
	s.observer = &observer{closewait.NewObserver(t.Context(), scan, closewait.NewTracker(nil), time.Now), history.New()}
	answer := httptest.NewRecorder()
	s.serveProcesses(answer, httptest.NewRequest(http.MethodGet, web.ProcessesPath, nil))
	if body := answer.Body.String(); answer.Code != http.StatusServiceUnavailable || answer.Header().Get("Content-Type") != "application/json" || !strings.Contains(body, `{"error":"`) || !strings.Contains(body, `no \u001b/proc`) {
		t.Errorf("status %d, %v\n%s", answer.Code, answer.Header(), body)
	}
}
