package cluster

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

// replayed is an API server that gives recorded answers, and notes the requests.
type replayed struct {
	*httptest.Server
	mu       sync.Mutex
	requests []string // method, path and query
	answer   func(r *http.Request, body []byte) (status int, answer any)
}

// replay starts an API server whose answers answer makes.
func replay(t *testing.T, answer func(r *http.Request, body []byte) (int, any)) (*replayed, *Client) {
	t.Helper()
	s := &replayed{answer: answer}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	c, err := newClient(&rest.Config{Host: s.URL, BearerToken: "token"})
	if err != nil {
		t.Fatal(err)
	}
	return s, c
}

// ServeHTTP implements http.Handler. A status of 0 cuts the connection without an answer.
func (s *replayed) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	s.requests = append(s.requests, r.Method+" "+strings.TrimSuffix(r.URL.Path+"?"+r.URL.Query().Encode(), "?"))
	status, answer := s.answer(r, body)
	s.mu.Unlock()
	if status == 0 {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Content-Type", "application/json")
	if status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", "10")
	}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer)
}

// asked returns the requests so far.
func (s *replayed) asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// failure is a Status as the API server writes it.
func failure(code int, reason metav1.StatusReason, message string) *metav1.Status {
	return &metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusFailure, Code: int32(code), Reason: reason, Message: message}
}

func TestALeaseIsTakenRenewedAndGivenBackThroughTheAPI(t *testing.T) {
	var stored *coordinationv1.Lease
	server, client := replay(t, func(r *http.Request, body []byte) (int, any) {
		if r.Method == http.MethodGet && stored == nil {
			return 404, failure(404, metav1.StatusReasonNotFound, `leases.coordination.k8s.io "closewait-leak-0" not found`)
		}
		if r.Method != http.MethodGet {
			lease := &coordinationv1.Lease{}
			if err := json.Unmarshal(body, lease); err != nil {
				t.Errorf("%v: %s", err, body)
			}
			if stored != nil && lease.ResourceVersion != stored.ResourceVersion {
				return 409, failure(409, metav1.StatusReasonConflict, "the object has been modified")
			}
			lease.TypeMeta = metav1.TypeMeta{Kind: "Lease", APIVersion: "coordination.k8s.io/v1"}
			lease.ResourceVersion += "1"
			stored = lease
		}
		return 200, stored
	})
	slot, err := client.NewSlots("closewait", "web1").Take(t.Context(), "closewait-leak", 2, shortHold)
	if err != nil {
		t.Fatal(err)
	}
	if spec := stored.Spec; !strings.HasPrefix(*spec.HolderIdentity, "web1/") || *spec.LeaseDurationSeconds != 120 {
		t.Errorf("%+v", spec)
	}
	if err := slot.Renew(t.Context()); err != nil {
		t.Error(err)
	}
	if err := slot.Release(t.Context()); err != nil || stored.Spec.HolderIdentity != nil {
		t.Errorf("%v, %v", stored.Spec.HolderIdentity, err)
	}
	const path = "/apis/coordination.k8s.io/v1/namespaces/closewait/leases"
	want := []string{
		"GET " + path + "/closewait-leak-0?timeout=10s", "POST " + path + "?timeout=10s",
		"PUT " + path + "/closewait-leak-0?timeout=10s", "PUT " + path + "/closewait-leak-0?timeout=10s",
	}
	if got := strings.Join(server.asked(), "\n"); got != strings.Join(want, "\n") {
		t.Errorf("requests:\n%s", got)
	}
}

func TestASlotIsNotTakenWithoutAnAnswer(t *testing.T) {
	for name, c := range map[string]struct {
		code int
		body any
	}{
		"forbidden":      {403, failure(403, metav1.StatusReasonForbidden, "leases is forbidden")},
		"overloaded":     {429, failure(429, metav1.StatusReasonTooManyRequests, "too many requests")},
		"internal error": {500, failure(500, metav1.StatusReasonInternalError, "etcdserver: request timed out")},
		"no answer":      {0, nil},
	} {
		t.Run(name, func(t *testing.T) {
			server, client := replay(t, func(*http.Request, []byte) (int, any) { return c.code, c.body })
			_, err := client.NewSlots("closewait", "web1").Take(t.Context(), "x", 3, shortHold)
			if err == nil || errors.Is(err, ErrNoSlot) {
				t.Error(err)
			}
			if asked := server.asked(); len(asked) != 1 {
				t.Errorf("asked again: %q", asked)
			}
		})
	}
}
