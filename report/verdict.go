package report

import "closewait_exporter/diagnose"

// saysSomething reports whether a verdict is shown beside a process. The facts that such verdicts
// are made of show too little for the others.
func saysSomething(v *diagnose.Verdict) bool {
	return v.Kind != "" && v.Kind != diagnose.Unknown && v.Kind != diagnose.NothingWrong
}

// verdict is the sentence of a verdict that says something; empty for others.
func verdict(v diagnose.Verdict) string {
	if !saysSomething(&v) {
		return ""
	}
	return Line(v.Summary)
}

// jsonShortVerdict is a verdict beside a process, without its evidence.
type jsonShortVerdict struct {
	Kind       untrusted `json:"kind"`
	Confidence untrusted `json:"confidence"`
	Summary    untrusted `json:"summary"`
}

// newJSONShortVerdict returns nil for other verdicts.
func newJSONShortVerdict(v diagnose.Verdict) *jsonShortVerdict {
	if !saysSomething(&v) {
		return nil
	}
	return &jsonShortVerdict{untrusted(v.Kind), untrusted(v.Confidence), untrusted(v.Summary)}
}

// verdict is the zero Verdict where none was sent.
func (j *jsonShortVerdict) verdict() diagnose.Verdict {
	if j == nil {
		return diagnose.Verdict{}
	}
	return diagnose.Verdict{Kind: diagnose.Kind(j.Kind), Confidence: diagnose.Confidence(j.Confidence), Summary: string(j.Summary)}
}

// verdictLines are the verdicts about the processes of some rows, and how to get more.
func verdictLines(rows []Row) (lines []string) {
	for i := range rows {
		if row := &rows[i]; row.Verdict != "" {
			lines = append(lines, "Process "+row.PID+" ("+row.Comm+"): "+row.Verdict)
		}
	}
	if len(lines) > 0 {
		lines = append(lines, "closewait_exporter diagnose PID says more.", "")
	}
	return lines
}
