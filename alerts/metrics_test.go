package alerts

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"closewait_exporter/collector"
	"closewait_exporter/reaper"
)

// labels is a set of label names.
type labels map[string]bool

// targetLabels are added by Prometheus.
var targetLabels = []string{"job", "instance"}

// series returns the labels of all series: of metrics, and of recording rules.
func series(t *testing.T) map[string]labels {
	t.Helper()
	known := map[string]labels{
		"up": labelled(nil),
		// Of kube-state-metrics; the rule that uses it makes group of uid.
		"kube_pod_info": labelled([]string{"uid", "namespace", "pod", "created_by_kind", "created_by_name", "group"}),
	}
	for _, m := range slices.Concat(collector.Metrics(), reaper.MetricTable()) {
		known[m.Name] = labelled(m.Labels)
		if m.Type == collector.Histogram || m.Type == collector.GaugeHistogram {
			known[m.Name+"_sum"], known[m.Name+"_count"] = labelled(m.Labels), labelled(m.Labels)
			known[m.Name+"_bucket"] = labelled(append(slices.Clone(m.Labels), "le"))
		}
	}
	for _, r := range shippedRules(t) {
		if r.Record != "" {
			known[r.Record] = labelsOf(r.Expr, known)
			delete(known[r.Record], "le")
		}
	}
	return known
}

func labelled(names []string) labels {
	set := labels{}
	for _, name := range slices.Concat(names, targetLabels) {
		set[name] = true
	}
	return set
}

var (
	// The name of a metric or of a recording rule; names removes the name of the program.
	name     = regexp.MustCompile(`\bclosewait[_:][a-z_:]+|\bup\b|\bkube_pod_info\b`)
	selector = regexp.MustCompile(`\b(closewait[_:][a-z_:]+|up|kube_pod_info)\{([^}]*)\}`)
	matcher  = regexp.MustCompile(`(\w+)\s*(?:=~|!=|!~|=)`)
	listed   = regexp.MustCompile(`\b(?:by|without|ignoring|on|group_left|group_right)\s*\(([^)]*)\)`)
	used     = regexp.MustCompile(`\$labels\.(\w+)`)
	asked    = regexp.MustCompile(`\{(?:\w+=[^,}]+,?)+\}`)
)

func names(text string) []string {
	return slices.DeleteFunc(name.FindAllString(text, -1), func(word string) bool { return word == "closewait_exporter" })
}

// labelsOf returns the union of the labels of all series that the text names.
func labelsOf(text string, known map[string]labels) labels {
	all := labels{}
	for _, n := range names(text) {
		maps.Copy(all, known[n])
	}
	return all
}

func TestTheRulesUseOnlyExistingMetrics(t *testing.T) {
	known := series(t)
	for _, r := range shippedRules(t) {
		text := r.Expr + r.Annotations["summary"] + r.Annotations["description"]
		if len(names(r.Expr)) == 0 {
			t.Errorf("%s uses no metric", r.Alert+r.Record)
		}
		for _, n := range names(text) {
			if known[n] == nil {
				t.Errorf("%s: there is no %s", r.Alert+r.Record, n)
			}
		}
	}
}

// Prometheus 3 can be told to convert histograms on arrival: then their buckets, sums and counts
// are no series.
func TestNoRuleDependsOnHowHistogramsAreStored(t *testing.T) {
	for _, r := range shippedRules(t) {
		for _, m := range collector.Metrics() {
			histogram := m.Type == collector.Histogram || m.Type == collector.GaugeHistogram
			if histogram && strings.Contains(r.Expr, m.Name) {
				t.Errorf("%s uses the histogram %s", r.Alert+r.Record, m.Name)
			}
		}
	}
}

func TestTheRulesUseOnlyLabelsOfTheirMetrics(t *testing.T) {
	known := series(t)
	for _, r := range shippedRules(t) {
		has := labelsOf(r.Expr, known)
		check := func(label string, in labels) {
			if !in[label] {
				t.Errorf("%s: no %s among the labels %v", r.Alert+r.Record, label, slices.Sorted(maps.Keys(in)))
			}
		}
		for _, s := range selector.FindAllStringSubmatch(r.Expr, -1) {
			for _, m := range matcher.FindAllStringSubmatch(s[2], -1) {
				check(m[1], known[s[1]])
			}
		}
		for _, list := range listed.FindAllStringSubmatch(r.Expr, -1) {
			for label := range strings.SplitSeq(list[1], ",") {
				check(strings.TrimSpace(label), has)
			}
		}
		text := r.Annotations["summary"] + r.Annotations["description"]
		for _, label := range used.FindAllStringSubmatch(text, -1) {
			check(label[1], has)
		}
		for _, braces := range asked.FindAllString(text, -1) {
			for _, m := range matcher.FindAllStringSubmatch(braces, -1) {
				check(m[1], labelsOf(text, known))
			}
		}
	}
}
