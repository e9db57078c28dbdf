package condition

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/document"
)

// fds requires that many descriptors are open: a process with enough of them left can go on.
var fds = Condition{
	Key:  "fds",
	Read: func(s *document.Section, w *When) { w.FDs = document.Value(s, "fds", Threshold{}, parseThreshold) },
	Describe: func(w *When) string {
		if w.FDs == (Threshold{}) {
			return ""
		}
		return w.FDs.String()
	},
	Warn: warnLowThreshold,

	Name:      "fds",
	Label:     "enough_fds",
	OfProcess: func(w *When, p *closewait.Process) bool { return w.FDs.reached(p) },
	Message:   describeFDs,
	Numbers:   true,
}

// Threshold is a number of descriptors, or a share of the soft limit. The zero value is no
// threshold.
type Threshold struct {
	Count uint64
	Ratio float64 // 0 to 1
}

// String is the threshold as written in a rules file.
func (t Threshold) String() string {
	if t.Ratio > 0 {
		return document.Percent(t.Ratio)
	}
	return strconv.FormatUint(t.Count, 10)
}

// reached is false if the numbers of the process are unknown.
func (t Threshold) reached(p *closewait.Process) bool {
	if t == (Threshold{}) {
		return true
	}
	ratio, known := p.FDRatio()
	return (t.Count == 0 || p.FDsKnown && p.OpenFDs >= t.Count) && (t.Ratio == 0 || known && ratio >= t.Ratio)
}

func parseThreshold(text string) (Threshold, error) {
	if strings.HasSuffix(text, "%") {
		ratio, err := document.ParseRatio(text)
		return Threshold{Ratio: ratio}, err
	}
	n, err := strconv.ParseUint(text, 10, 64)
	switch {
	case err != nil || n > math.MaxInt64:
		return Threshold{}, fmt.Errorf("%q is neither a number of descriptors nor a percentage of the limit: write such as 900 or 80%%", text)
	case n == 0:
		return Threshold{}, errors.New("0 is always reached: write such as 900 or 80%, or remove the key")
	}
	return Threshold{Count: n}, nil
}

// A busy server reaches these thresholds without a leak.
const (
	lowRatio   = 0.5
	lowCount   = 512 // half of the usual soft limit
	maxPercent = 100
)

// warnLowThreshold warns about a count that looks like a percentage, and about a threshold that
// does not stop clients from triggering the rule.
func warnLowThreshold(s *document.Section, c Context) {
	t := c.When.FDs
	switch {
	case t.Count > 0 && t.Count <= maxPercent:
		s.Warn("fds", fmt.Sprintf("%d is a count of descriptors; did you mean %d%%?", t.Count, t.Count))
	case !c.Ends || c.AcceptsRemoteTrigger || t == (Threshold{}) || t.Ratio >= lowRatio || t.Count >= lowCount:
	default:
		s.Warn("fds", "a busy server reaches "+t.String()+" without a leak, so clients could trigger the rule: write 80% or more")
	}
}

func describeFDs(w *When, f *Findings) string {
	p := f.Process
	open := "an unknown number"
	if p.FDsKnown {
		open = fmt.Sprint(p.OpenFDs)
	}
	limit := "an unknown limit"
	switch {
	case p.MaxFDs == closewait.UnlimitedFDs:
		limit = "no limit"
	case p.MaxFDs > 0:
		limit = fmt.Sprint(p.MaxFDs)
	}
	required := "no minimum set"
	if w.FDs != (Threshold{}) {
		required = w.FDs.String() + " required"
	}
	return fmt.Sprintf("%s of %s descriptors open, %s", open, limit, required)
}
