package reaper

import (
	"cmp"
	"fmt"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"closewait_exporter/reaper/policy"
	"closewait_exporter/reaper/rules"
	"closewait_exporter/reaper/step"
)

// logLevel is the level of the log lines about actions, by Mode.
var logLevel = [...]func(log.Logger) log.Logger{rules.DryRun: level.Info, rules.Enforce: level.Warn}

// logStart records a decision to act before the first step.
func (r *remediation) logStart() error {
	if err := r.audit.Write(newDecisionRecord(r.Decision, time.Now(), socketsRecorded)); err != nil {
		return err
	}
	p := r.Process
	r.log("msg", "Remediation started", "comm", p.Comm, "exe", p.Exe, "user", p.User, "targets", r.Cost(), "sockets", len(r.Evidence),
		"oldest", r.Taken.Sub(r.Evidence[0].Since), "reason", r.Reason())
	return nil
}

// logStep records a step before it is applied. Without a record it is not.
func (r *remediation) logStep(s StepRecord) *stop {
	record := newRecord(r.Decision, "step", time.Now())
	record.StepRecord = &s
	if err := r.audit.Write(record); err != nil {
		return &stop{aborted, policy.LabelAuditFailed, err.Error()}
	}
	return nil
}

// logResult logs and counts the result of a step.
func (r *remediation) logResult(s step.Step, result StepResult, err error) {
	r.metrics.action(r.Rule, s.Kind(), err)
	if err != nil {
		result.Error = err.Error()
	}
	r.results = append(r.results, result)
	r.history.action(r.Decision, result.Target, result.Step, cmp.Or(result.Error, result.Detail))
	line := []any{"msg", "Step finished", "step", result.Step, "target", result.Target, "detail", result.Detail, "err", err, "took_seconds", result.Took}
	if result.Arguments != nil {
		line = append(line, "arguments", fmt.Sprintf("%q", result.Arguments))
	}
	if result.Output != "" {
		line = append(line, "output", result.Output)
	}
	r.log(line...)
}

// logDryRun logs and counts a step that would have been run.
func (r *remediation) logDryRun(s step.Step, record StepRecord) {
	r.metrics.action(r.Rule, s.Kind(), nil)
	r.history.action(r.Decision, record.Target, record.Step, "")
	r.log("msg", "Step would be run", "step", record.Step, "target", record.Target)
}

// logEnd records how the remediation ended. No action depends on this record.
func (r *remediation) logEnd(o *outcome) {
	r.metrics.ended(r.Rule, o)
	record := newRecord(r.Decision, "end", time.Now())
	record.Reason, record.EvidenceFiles = o.reason, r.evidenceFiles
	if r.dryRun() {
		if o.label != "" {
			r.history.action(r.Decision, r.Process.ID.PID, string(o.label), o.reason)
		}
		record.DryRunRecord = &DryRunRecord{WouldRun: r.wouldRun}
		err := r.audit.Write(record)
		r.log("msg", "Dry run ended", "decision", o.label, "reason", o.reason, "audit_err", err)
		return
	}
	r.history.action(r.Decision, r.Process.ID.PID, string(o.Result), o.reason)
	record.EndRecord = &EndRecord{Result: o.Result, ReleasedSockets: o.sockets, ReleasedFDs: o.fds, StepResults: r.results}
	err := r.audit.Write(record)
	r.log("msg", "Remediation ended", "result", o.Result, "decision", o.label, "released_sockets", o.sockets, "released_fds", o.fds, "reason", o.reason, "audit_err", err)
}

func (r *remediation) log(keyvals ...any) {
	about := []any{"id", r.ID(), "mode", r.Rule.Mode, "rule", r.Rule.Name, "group", r.Group, "pid", r.Process.ID.PID}
	logLevel[r.Rule.Mode](r.logger).Log(append(about, keyvals...)...)
}
