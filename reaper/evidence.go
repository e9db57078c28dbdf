package reaper

import (
	"encoding/json"
	"errors"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/step"
)

// CaseRecord is a remediation in a file of evidence: the decision as in the audit file, and the
// results of the steps before the evidence.
type CaseRecord struct {
	Record
	StepResults []StepResult `json:"step_results"`
}

// evidenceCase describes the remediation to whoever writes down evidence.
func (r *remediation) evidenceCase(t *target) (closewait.EvidenceCase, error) {
	record, err := json.Marshal(CaseRecord{newDecisionRecord(r.Decision, time.Now(), socketsRecorded), append([]StepResult{}, r.results...)})
	return closewait.EvidenceCase{ID: r.ID(), Process: t.process.ID, Record: record}, err
}

// observed notes the result of a step that only observes, in dry run too. If it has failed, the
// remediation continues: the remedy must not depend on it.
func (r *remediation) observed(s step.Step, result StepResult, done step.Result, err error) {
	if errors.Is(err, closewait.ErrGone) {
		done, err = step.Result{Detail: "the process had ended"}, nil
	}
	if done.File != "" {
		r.evidenceFiles = append(r.evidenceFiles, done.File)
		r.acted = r.acted || r.Rule.OnlyObserves()
	}
	result.Detail = done.Detail
	r.logResult(s, result, err)
}
