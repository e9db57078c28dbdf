package web

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
)

func TestReadyAfterTheFirstSuccessfulScan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var failure error
		f := newFixture(t, func(ctx context.Context) error {
			if errors.Is(failure, context.DeadlineExceeded) {
				return hung(ctx)
			}
			return failure
		}, nil)
		steps := []struct {
			name    string
			failure error
			status  int
			body    string
		}{
			{"a scan that hangs", context.DeadlineExceeded, http.StatusServiceUnavailable, "timed out"},
			{"a scan that fails", errors.New("no /proc"), http.StatusServiceUnavailable, "no /proc"},
			{"a scan that succeeds", nil, http.StatusOK, "is ready"},
			{"a later failure shows only in the metrics", errors.New("no /proc"), http.StatusOK, "is ready"},
		}
		for _, step := range steps {
			failure = step.failure
			answer := f.ask(http.MethodGet, "/-/ready")
			if answer.Code != step.status || !strings.Contains(answer.Body.String(), step.body) {
				t.Errorf("%s: status %d and %q, want %d and %q", step.name, answer.Code, answer.Body, step.status, step.body)
			}
			if code := f.ask(http.MethodGet, "/-/healthy").Code; code != http.StatusOK {
				t.Errorf("%s: healthy answers %d", step.name, code)
			}
		}
	})
}

func TestAScrapeMakesTheExporterReady(t *testing.T) {
	scans := 0
	f := newFixture(t, func(context.Context) error { scans++; return nil }, nil)
	f.ask(http.MethodGet, "/metrics")
	if code := f.ask(http.MethodGet, "/-/ready").Code; code != http.StatusOK || scans != 1 {
		t.Errorf("status %d after %d scans, want 200 after the scan of the scrape", code, scans)
	}
}

func TestOnlyChangesOfHealthAreLogged(t *testing.T) {
	broken := errors.New("broken")
	tests := []struct {
		name  string
		scans []error
		want  []string
	}{
		{"success from the start is not logged", []error{nil, nil}, nil},
		{"a failure is logged once", []error{broken, broken, broken}, []string{"Scan failed"}},
		{"failure and recovery", []error{nil, broken, nil, nil}, []string{"Scan failed", "succeed again"}},
		{"a caller that hangs up says nothing about the scan", []error{nil, context.Canceled, broken, context.Canceled, broken}, []string{"Scan failed"}},
		{"a timeout is a failure", []error{nil, context.DeadlineExceeded, nil}, []string{"timed out", "succeed again"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := newFixture(t, func(context.Context) error {
				err := test.scans[0]
				test.scans = test.scans[1:]
				return err
			}, nil)
			for range len(test.scans) {
				f.ask(http.MethodGet, "/metrics")
			}
			lines := strings.Split(strings.TrimSuffix(f.log.String(), "\n"), "\n")
			if f.log.Len() == 0 {
				lines = nil
			}
			if len(lines) != len(test.want) {
				t.Fatalf("log is\n%s\nwant lines with %q", f.log.String(), test.want)
			}
			for i, want := range test.want {
				if !strings.Contains(lines[i], want) {
					t.Errorf("line %d is %q, want %q in it", i, lines[i], want)
				}
			}
		})
	}
}
