package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"closewait_exporter/internal/leaktest"
)

// meaning is what a query says about a leak.
type meaning int

const (
	nothing  meaning = iota
	number           // of ended sockets that a process holds
	growth           // of that number, per second
	entering         // sockets per second
	leaving          // sockets per second, negative
	timeLeft         // seconds until its descriptors run out
)

// claim is a query of the documents, the dashboard or the rules that says something about a leak.
type claim struct {
	where, expr string
	means       meaning
	scale       float64 // 3600 where it is per hour, 1 otherwise
}

// claims returns all such queries. Each place has at least one of each of the given meanings.
func claims(t *testing.T) []claim {
	t.Helper()
	var found []claim
	add := func(where string, exprs []string, required ...meaning) {
		var meanings []meaning
		for _, expr := range exprs {
			if means := meaningOf(expr); means != nothing {
				scale := 1.0
				if strings.Contains(expr, "3600 *") || strings.Contains(expr, "* 3600") {
					scale = 3600
				}
				found, meanings = append(found, claim{where, expr, means, scale}), append(meanings, means)
			}
		}
		for _, means := range required {
			if !slices.Contains(meanings, means) {
				t.Errorf("%s have no query of meaning %d: the patterns of this test do not match", where, means)
			}
		}
	}
	add("the documents", examples(t), number, growth, timeLeft)
	add("the dashboard", dashboardQueries(t), number, growth, entering, leaving, timeLeft)
	add("the rules", []string{"closewait:process_wasted_fds:sum", "closewait:process_fds_exhaustion:seconds"}, number, timeLeft)
	return found
}

// meaningOf classifies a query by the metrics and functions that it uses.
func meaningOf(expr string) meaning {
	uses := func(pattern string) bool { return regexp.MustCompile(pattern).MatchString(expr) }
	const counters = `rate\(closewait_process_sockets_`
	switch {
	case uses(`closewait:process_fds_exhaustion:seconds`), uses(`closewait_process_max_fds`) && uses(`deriv\(closewait_process_open_fds`):
		return timeLeft
	case uses(`deriv\(closewait_process_sockets\b`), uses(counters+`entered`) && uses(counters+`left`):
		return growth
	case uses(counters + `entered`):
		return entering
	case uses(counters + `left`):
		return leaving
	case uses(`closewait:process_wasted_fds:sum`), uses(`closewait_process_sockets\b`) && !uses(`state=|count\(closewait_process_sockets`):
		return number
	}
	return nothing
}

func dashboardQueries(t *testing.T) []string {
	t.Helper()
	type panel struct {
		Targets []struct{ Expr string }
		Panels  []struct{ Targets []struct{ Expr string } }
	}
	var dashboard struct{ Panels []panel }
	must(t, json.Unmarshal(read(t, "../dashboards/closewait.json"), &dashboard))
	var exprs []string
	for _, p := range dashboard.Panels {
		for _, target := range p.Targets {
			exprs = append(exprs, target.Expr)
		}
		for _, inner := range p.Panels {
			for _, target := range inner.Targets {
				exprs = append(exprs, target.Expr)
			}
		}
	}
	return exprs
}

var (
	processMetric = regexp.MustCompile(`\bclosewait[_:]process_[a-z_:]+(\{)?`)
	windowOfQuery = regexp.MustCompile(`\[(\$\w+|\d+[smh])\]`)
	anyVariable   = regexp.MustCompile(`\$\w+`)
)

// about makes a query about one process, as one scanner sees it, and about the last span of time.
func (c claim) about(job string, pid int, span time.Duration) string {
	expr := windowOfQuery.ReplaceAllString(c.expr, fmt.Sprintf("[%ds]", int(span.Seconds())))
	expr = processMetric.ReplaceAllStringFunc(expr, func(metric string) string {
		name, inner := strings.CutSuffix(metric, "{")
		selector := fmt.Sprintf(`%s{job="%s",pid="%d"`, name, job, pid)
		if inner {
			return selector + ","
		}
		return selector + "}"
	})
	return anyVariable.ReplaceAllString(expr, ".*")
}

// rulesForMinutes writes the rules 60 times as fast to a file, and returns its path.
func rulesForMinutes(t *testing.T) string {
	t.Helper()
	sed := exec.Command(leaktest.RequireProgram(t, "sed"), "-E", "-f", "../alerts/scale-60.sed", "../alerts/closewait.rules.yml")
	fast, err := sed.Output()
	must(t, err)
	path := filepath.Join(t.TempDir(), "closewait.rules.yml")
	must(t, os.WriteFile(path, fast, 0o600))
	return path
}
