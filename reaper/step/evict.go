package step

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/document"
)

const defaultEvictWait = 2 * time.Minute

var evict = Kind{
	Name: "evict",
	Keys: []string{"namespaces", "wait", "allow"},
	Read: func(s *document.Section) Step {
		step := Evict{
			Namespaces: document.List(s, "namespaces", parseNamespace),
			Wait:       document.Value(s, "wait", defaultEvictWait, document.ParsePositive),
			Allow:      document.List(s, "allow", parseAllowed),
		}
		if len(step.Namespaces) == 0 && !s.Broken() && !s.Refused("namespaces") {
			s.Refuse("namespaces", "is missing: list the namespaces whose pods may be evicted, such as [shop]")
		}
		return step
	},
}

// Evict asks Kubernetes to evict the pod of the process. PodDisruptionBudgets decide.
type Evict struct {
	Namespaces []string      // of pods that may be evicted
	Wait       time.Duration // for the process to end
	Allow      []string      // what is refused otherwise
}

// The values of allow.
const (
	allowBare     = "bare"     // a pod without a controller
	allowJob      = "job"      // a pod of a Job
	allowEmptyDir = "emptydir" // a pod that loses data
	allowNoPDB    = "no_pdb"   // a pod without a PodDisruptionBudget
)

var allowances = []string{allowBare, allowJob, allowEmptyDir, allowNoPDB}

func parseAllowed(text string) (string, error) {
	if !slices.Contains(allowances, text) {
		return "", fmt.Errorf("%q is not known: write one of %s", text, strings.Join(allowances, ", "))
	}
	return text, nil
}

var namespaceName = regexp.MustCompile(`^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$`)

func parseNamespace(text string) (string, error) {
	if !namespaceName.MatchString(text) {
		return "", fmt.Errorf("%q is no name of a namespace: write such as shop", text)
	}
	return text, nil
}

// Kind implements Step.
func (Evict) Kind() string { return evict.Name }

func (Evict) String() string { return evict.Name }

// Traits implements Step.
func (e Evict) Traits() Traits {
	return Traits{EndsProcess: true, RequestsEnd: true, AppliesOnce: true, Wait: e.Wait}
}

// Permitted implements Step.
func (Evict) Permitted(r Rights) error { return r.Evict }

// Apply implements Step.
func (e Evict) Apply(ctx context.Context, t *Target) (Result, error) {
	process, err := t.Process.Describe()
	if err != nil {
		return Result{}, err
	}
	done, err := e.Ask(ctx, t.Executor, &process, t.HasSlots)
	return Result{Detail: done.Pod, Evicted: done.Sent}, err
}

// Ask asks for the eviction of the pod of a process. A rule with slots never acts on two hosts at
// once, so its pods need no PodDisruptionBudget.
func (e Evict) Ask(ctx context.Context, x Executor, p *closewait.Process, hasSlots bool) (closewait.EvictionResult, error) {
	if p.Pod == "" {
		return closewait.EvictionResult{}, fmt.Errorf("%w: process %d is in no pod", closewait.ErrRefused, p.ID.PID)
	}
	allows := func(what string) bool { return slices.Contains(e.Allow, what) }
	return x.Evict(ctx, closewait.Eviction{
		PodUID: p.Pod, Namespaces: e.Namespaces,
		Allow: closewait.EvictionAllowance{Bare: allows(allowBare), Job: allows(allowJob), EmptyDir: allows(allowEmptyDir), NoPDB: allows(allowNoPDB) || hasSlots},
	})
}
