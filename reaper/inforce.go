package reaper

import "closewait_exporter/reaper/policy"

// inForce is what remediations check their next step against: the rules that were read last, even
// if no round has used them yet, and the state after the last round.
type inForce struct {
	policy *policy.Policy
	state  policy.State
}

// publish, with Reaper.mu held, makes the policy and the state of the loop those in force. A reload
// that the loop has not applied yet remains in force.
func (r *Reaper) publish() {
	if r.inForce.policy == nil || r.inForce.policy.SameRules(r.policy) {
		r.inForce.policy = r.policy
	}
	r.inForce.state = r.state
}

// rulesInForce returns what is in force. It is safe for concurrent use.
func (r *Reaper) rulesInForce() (*policy.Policy, policy.State) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.inForce.policy, r.inForce.state
}
