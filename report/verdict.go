package report

import "closewait_exporter/diagnose"

// verdict is the sentence of a verdict that says something; empty for others.
func verdict(v diagnose.Verdict) string {
	switch v.Kind {
	case "", diagnose.Unknown, diagnose.NothingWrong:
		return ""
	}
	return Line(v.Summary)
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
