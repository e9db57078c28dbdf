package cluster

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"closewait_exporter/closewait"
)

// shop is a namespace of a replayed API server, with the pod web-0 on node n1.
type shop struct {
	pod     *corev1.Pod
	budgets []policyv1.PodDisruptionBudget
	// evict answers the eviction; nil: it is created.
	evict func() (int, any)
	// changed is the pod after the eviction was asked for; nil: as before.
	changed  *corev1.Pod
	gone     bool // the pod is in no list any more
	asked    []policyv1.Eviction
	listCode int // of the list of pods; 0: 200
}

func newShop(change ...func(*shop)) *shop {
	controller := true
	s := &shop{
		pod: &corev1.Pod{
			TypeMeta: metav1.TypeMeta{Kind: "Pod", APIVersion: "v1"},
			ObjectMeta: metav1.ObjectMeta{
				Namespace: "shop", Name: "web-0", UID: "6ad2a9f1", Labels: map[string]string{"app": "web"},
				OwnerReferences: []metav1.OwnerReference{{Kind: "StatefulSet", Name: "web", Controller: &controller}},
			},
			Spec: corev1.PodSpec{NodeName: "n1"},
		},
		budgets: []policyv1.PodDisruptionBudget{budget("web", "web"), budget("db", "db")},
	}
	for _, f := range change {
		f(s)
	}
	return s
}

func budget(name, app string) policyv1.PodDisruptionBudget {
	return policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name},
		Spec:       policyv1.PodDisruptionBudgetSpec{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": app}}},
	}
}

func (s *shop) answer(t *testing.T) func(*http.Request, []byte) (int, any) {
	return func(r *http.Request, body []byte) (int, any) {
		now := s.pod
		if len(s.asked) > 0 && s.changed != nil {
			now = s.changed
		}
		switch r.Method + " " + r.URL.Path {
		case "GET /api/v1/namespaces/shop/pods":
			if s.listCode != 0 {
				return s.listCode, failure(s.listCode, "", "refused")
			}
			if got := r.URL.Query().Get("fieldSelector"); got != "spec.nodeName=n1" {
				t.Errorf("lists pods of %q", got)
			}
			list := &corev1.PodList{TypeMeta: metav1.TypeMeta{Kind: "PodList", APIVersion: "v1"}}
			if s.pod.Spec.NodeName == "n1" {
				list.Items = append(list.Items, *s.pod)
			}
			return 200, list
		case "GET /api/v1/namespaces/shop/pods/web-0":
			if s.gone || now.Name == "" {
				return 404, failure(404, metav1.StatusReasonNotFound, `pods "web-0" not found`)
			}
			return 200, now
		case "GET /apis/policy/v1/namespaces/shop/poddisruptionbudgets":
			return 200, &policyv1.PodDisruptionBudgetList{TypeMeta: metav1.TypeMeta{Kind: "PodDisruptionBudgetList", APIVersion: "policy/v1"}, Items: s.budgets}
		case "POST /api/v1/namespaces/shop/pods/web-0/eviction":
			var e policyv1.Eviction
			if err := json.Unmarshal(body, &e); err != nil || e.Kind != "Eviction" || e.APIVersion != "policy/v1" {
				t.Errorf("%v: %s", err, body)
			}
			s.asked = append(s.asked, e)
			if s.evict != nil {
				return s.evict()
			}
			return 201, &metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusSuccess, Code: 201}
		}
		t.Errorf("asks for %s %s", r.Method, r.URL)
		return 404, failure(404, metav1.StatusReasonNotFound, "not found")
	}
}

func (s *shop) try(t *testing.T, change ...func(*closewait.Eviction)) (closewait.EvictionResult, error) {
	t.Helper()
	_, client := replay(t, s.answer(t))
	e := closewait.Eviction{PodUID: "6ad2a9f1", Namespaces: []string{"shop"}}
	for _, f := range change {
		f(&e)
	}
	return client.Evict(t.Context(), "n1", e)
}

// tooManyRequests is the answer when a PodDisruptionBudget allows no eviction.
func tooManyRequests() (int, any) {
	s := failure(429, metav1.StatusReasonTooManyRequests, "Cannot evict pod as it would violate the pod's disruption budget.")
	s.Details = &metav1.StatusDetails{RetryAfterSeconds: 10, Causes: []metav1.StatusCause{{Type: policyv1.DisruptionBudgetCause, Message: "The disruption budget web needs 2 healthy pods and has 2 currently"}}}
	return 429, s
}

func TestAPodIsEvictedOnceWithItsUID(t *testing.T) {
	s := newShop()
	r, err := s.try(t)
	if err != nil || !r.Sent || r.Pod != "shop/web-0" {
		t.Errorf("%+v, %v", r, err)
	}
	if len(s.asked) != 1 || *s.asked[0].DeleteOptions.Preconditions.UID != types.UID("6ad2a9f1") || s.asked[0].DeleteOptions.DryRun != nil {
		t.Errorf("%+v", s.asked)
	}
}

func TestADryRunOnlyAsksTheServer(t *testing.T) {
	dry := func(e *closewait.Eviction) { e.DryRun = true }
	s := newShop()
	if r, err := s.try(t, dry); err != nil || r.Sent || !slices.Equal(s.asked[0].DeleteOptions.DryRun, []string{"All"}) {
		t.Errorf("%+v, %v, %+v", r, err, s.asked)
	}
	s = newShop(func(s *shop) { s.evict = tooManyRequests })
	if r, err := s.try(t, dry); !errors.Is(err, closewait.ErrDisruptionBudget) || r.Sent {
		t.Errorf("%+v, %v", r, err)
	}
	s = newShop(func(s *shop) { s.evict = func() (int, any) { return 0, nil } })
	if r, err := s.try(t, dry); !errors.Is(err, closewait.ErrCluster) || r.Sent {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestEachAnswerOfTheServerHasItsMeaning(t *testing.T) {
	answers := func(code int, reason metav1.StatusReason, message string) func(*shop) {
		return func(s *shop) { s.evict = func() (int, any) { return code, failure(code, reason, message) } }
	}
	terminating := func(s *shop) {
		s.changed = s.pod.DeepCopy()
		s.changed.DeletionTimestamp = &metav1.Time{Time: time.Now()}
	}
	replaced := func(s *shop) { s.changed = s.pod.DeepCopy(); s.changed.UID = "another" }
	removed := func(s *shop) { s.changed = &corev1.Pod{} }
	lost := func(s *shop) { s.evict = func() (int, any) { return 0, nil } }
	for name, c := range map[string]struct {
		change []func(*shop)
		want   error // nil: evicted
		sent   bool
	}{
		"the budget is used up":            {[]func(*shop){func(s *shop) { s.evict = tooManyRequests }}, closewait.ErrDisruptionBudget, false},
		"the server is overloaded":         {[]func(*shop){answers(429, metav1.StatusReasonTooManyRequests, "too many requests, please try again later")}, closewait.ErrCluster, false},
		"another uid":                      {[]func(*shop){answers(409, metav1.StatusReasonConflict, "the UID in the precondition does not match")}, closewait.ErrGone, false},
		"gone meanwhile":                   {[]func(*shop){answers(404, metav1.StatusReasonNotFound, "not found")}, closewait.ErrGone, false},
		"not permitted":                    {[]func(*shop){answers(403, metav1.StatusReasonForbidden, "pods/eviction is forbidden")}, closewait.ErrCluster, false},
		"two budgets that only it knows":   {[]func(*shop){answers(500, metav1.StatusReasonInternalError, "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.")}, closewait.ErrRefused, false},
		"lost, and the pod is as before":   {[]func(*shop){lost}, closewait.ErrCluster, true},
		"lost, and the pod terminates":     {[]func(*shop){lost, terminating}, nil, true},
		"lost, and the pod is gone":        {[]func(*shop){lost, removed}, nil, true},
		"lost, and the pod is replaced":    {[]func(*shop){lost, replaced}, nil, true},
		"a timeout of etcd":                {[]func(*shop){answers(500, metav1.StatusReasonInternalError, "etcdserver: request timed out")}, closewait.ErrCluster, true},
		"a timeout, and it has terminated": {[]func(*shop){answers(504, metav1.StatusReasonTimeout, "timeout"), terminating}, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newShop(c.change...)
			r, err := s.try(t)
			if !errors.Is(err, c.want) || c.want == nil && err != nil || r.Sent != c.sent {
				t.Errorf("%+v, %v, want %v", r, err, c.want)
			}
			if len(s.asked) != 1 {
				t.Errorf("asked %d times", len(s.asked))
			}
		})
	}
}

func TestSomePodsAreLeftAlone(t *testing.T) {
	change := func(f func(*corev1.Pod)) []func(*shop) { return []func(*shop){func(s *shop) { f(s.pod) }} }
	allow := func(f func(*closewait.EvictionAllowance)) func(*closewait.Eviction) {
		return func(e *closewait.Eviction) { f(&e.Allow) }
	}
	emptyDir := corev1.Volume{Name: "cache", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}
	for name, c := range map[string]struct {
		change []func(*shop)
		want   error
		text   string
		allow  func(*closewait.Eviction) // evicts it all the same; nil: nothing does
	}{
		"that terminate":        {change(func(p *corev1.Pod) { p.DeletionTimestamp = &metav1.Time{Time: time.Now()} }), closewait.ErrTerminating, "", nil},
		"static ones":           {change(func(p *corev1.Pod) { p.Annotations = map[string]string{corev1.MirrorPodAnnotationKey: "x"} }), closewait.ErrRefused, "static", nil},
		"without a controller":  {change(func(p *corev1.Pod) { p.OwnerReferences = nil }), closewait.ErrRefused, "allow bare", allow(func(a *closewait.EvictionAllowance) { a.Bare = true })},
		"of a Job":              {change(func(p *corev1.Pod) { p.OwnerReferences[0].Kind = "Job" }), closewait.ErrRefused, "allow job", allow(func(a *closewait.EvictionAllowance) { a.Job = true })},
		"with data":             {change(func(p *corev1.Pod) { p.Spec.Volumes = []corev1.Volume{emptyDir} }), closewait.ErrRefused, "volume cache", allow(func(a *closewait.EvictionAllowance) { a.EmptyDir = true })},
		"without a budget":      {[]func(*shop){func(s *shop) { s.budgets = s.budgets[1:] }}, closewait.ErrRefused, "no PodDisruptionBudget", allow(func(a *closewait.EvictionAllowance) { a.NoPDB = true })},
		"with two budgets":      {[]func(*shop){func(s *shop) { s.budgets = append(s.budgets, budget("all", "web")) }}, closewait.ErrRefused, "2 PodDisruptionBudgets (web, all)", nil},
		"on another node":       {change(func(p *corev1.Pod) { p.Spec.NodeName = "n2" }), closewait.ErrRefused, "has the uid", nil},
		"with another uid":      {change(func(p *corev1.Pod) { p.UID = "another" }), closewait.ErrRefused, "has the uid", nil},
		"that are just gone":    {[]func(*shop){func(s *shop) { s.gone = true }}, closewait.ErrGone, "", nil},
		"that cannot be listed": {[]func(*shop){func(s *shop) { s.listCode = 403 }}, closewait.ErrCluster, "list the pods", nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := newShop(c.change...)
			r, err := s.try(t)
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) || r.Sent || len(s.asked) > 0 {
				t.Errorf("%+v, %v, asked %d times, want %v with %q", r, err, len(s.asked), c.want, c.text)
			}
			if c.allow != nil {
				if r, err := newShop(c.change...).try(t, c.allow); err != nil || !r.Sent {
					t.Errorf("although it is allowed: %+v, %v", r, err)
				}
			}
		})
	}
	t.Run("of a DaemonSet not, which comes back here", func(t *testing.T) {
		if _, err := newShop(change(func(p *corev1.Pod) { p.OwnerReferences[0].Kind = "DaemonSet" })...).try(t); err != nil {
			t.Error(err)
		}
	})
}
