package policy

import (
	"slices"
	"testing"
)

// TestNoDecisionIsRenamed: alerts and dashboards of users select decisions by these names. A new
// decision need not be added here.
func TestNoDecisionIsRenamed(t *testing.T) {
	labels := Labels()
	for _, name := range []Label{
		"act", "audit_failed", "breaker", "budget", "cooldown", "dry_run", "enough_fds", "gap", "gone", "guard_denied", "guard_failed",
		"in_progress", "incomplete_scan", "low_coverage", "peer_share", "pending", "protected", "recovered", "stopped", "suspended",
	} {
		if !slices.Contains(labels, name) {
			t.Errorf("%s is missing in %v", name, labels)
		}
	}
}

func TestEveryDecisionIsListedOnce(t *testing.T) {
	labels := Labels()
	slices.Sort(labels)
	if once := slices.Compact(slices.Clone(labels)); len(once) != len(labels) || slices.Contains(labels, unlabelled) {
		t.Errorf("%q", labels)
	}
}
