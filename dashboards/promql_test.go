package dashboards

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// expression lists the names in a PromQL expression.
type expression struct {
	metrics []metricUse
	labels  []string // in by, without, on, ignoring, group_left and group_right
}

type metricUse struct {
	name     string
	matchers string // with the braces
	labels   []string
}

var (
	grouping = regexp.MustCompile(`\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)`)
	window   = regexp.MustCompile(`\[[^\]]*\]`)
	name     = regexp.MustCompile(`\b([a-zA-Z_:][a-zA-Z0-9_:]*)(\s*\()?(\{(?:[^"{}]|"(?:[^"\\]|\\.)*")*\})?`)
	matcher  = regexp.MustCompile(`([a-zA-Z_]\w*)\s*(?:=~|!~|!=|=)\s*"(?:[^"\\]|\\.)*"`)
	keywords = []string{"and", "or", "unless", "bool", "offset", "by", "without", "on", "ignoring", "group_left", "group_right", "Inf", "NaN"}
)

// parse finds the names in an expression without validating it; Prometheus does that. Strings occur
// only in matchers.
func parse(expr string) expression {
	var found expression
	for _, list := range grouping.FindAllStringSubmatch(expr, -1) {
		for label := range strings.SplitSeq(list[1], ",") {
			if label = strings.TrimSpace(label); label != "" {
				found.labels = append(found.labels, label)
			}
		}
	}
	expr = window.ReplaceAllString(grouping.ReplaceAllString(expr, " "), " ")
	for _, word := range name.FindAllStringSubmatch(expr, -1) {
		if word[2] != "" || slices.Contains(keywords, word[1]) {
			continue
		}
		use := metricUse{name: word[1], matchers: word[3]}
		for _, m := range matcher.FindAllStringSubmatch(word[3], -1) {
			use.labels = append(use.labels, m[1])
		}
		found.metrics = append(found.metrics, use)
	}
	return found
}

func TestNamesAreFoundInExpressions(t *testing.T) {
	tests := []struct {
		name, expr string
		want       expression
	}{
		{"a metric", `up`, expression{metrics: []metricUse{{name: "up"}}}},
		{"a rate with matchers", `rate(a_total{job=~"$job", x!="}\"{"}[$__rate_interval])`,
			expression{metrics: []metricUse{{"a_total", `{job=~"$job", x!="}\"{"}`, []string{"job", "x"}}}}},
		{"a join", "sum by (job, pid) (a{}) * on (pid) group_left (exe)\n topk by(pid)(1, b) or +Inf * c > 1e3 * 5",
			expression{[]metricUse{{"a", "{}", nil}, {name: "b"}, {name: "c"}}, []string{"job", "pid", "pid", "exe", "pid"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, parse(tt.expr), cmp.AllowUnexported(expression{}, metricUse{})); diff != "" {
				t.Errorf("names (-want +got):\n%s", diff)
			}
		})
	}
}
