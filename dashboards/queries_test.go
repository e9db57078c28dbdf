package dashboards

import (
	"regexp"
	"testing"

	"github.com/grafana/grafana-foundation-sdk/go/cog/variants"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
)

// query is an expression of the dashboard with its use in Grafana.
type query struct {
	where   string // the panel and the letter of the query, or the annotation
	expr    string
	instant bool     // for now; otherwise for the time shown
	labels  []string // shown by the legend or the text
}

// queries returns the queries of all panels and annotations.
func queries(t *testing.T, d *board) []query {
	t.Helper()
	var all []query
	for _, p := range panels(d) {
		for _, target := range p.Targets {
			q := promQuery(t, target)
			found := query{where: *p.Title + " " + *q.RefId, expr: q.Expr, instant: q.Instant != nil && *q.Instant}
			if q.LegendFormat != nil {
				found.labels = placeholders(*q.LegendFormat)
			}
			all = append(all, found)
		}
	}
	for _, a := range annotations(d) {
		all = append(all, query{where: a.Name, expr: *a.Expr, labels: placeholders(*a.TitleFormat + *a.TextFormat)})
	}
	return all
}

// annotations returns the annotations that query Prometheus, without the built-in one.
func annotations(d *board) []*dashboard.AnnotationQuery {
	var all []*dashboard.AnnotationQuery
	for i := range d.Annotations.List {
		if a := &d.Annotations.List[i]; a.BuiltIn == nil {
			all = append(all, a)
		}
	}
	return all
}

func promQuery(t *testing.T, target variants.Dataquery) *prometheus.Dataquery {
	t.Helper()
	q, ok := target.(*prometheus.Dataquery)
	if !ok {
		t.Fatalf("a query is for %T", target)
	}
	return q
}

var placeholder = regexp.MustCompile(`\{\{\s*(\w+)\s*\}\}`)

func placeholders(format string) []string {
	var names []string
	for _, found := range placeholder.FindAllStringSubmatch(format, -1) {
		names = append(names, found[1])
	}
	return names
}

// TestPresentValuesAreInstantQueries: a range would still show the last value of a process that has
// ended.
func TestPresentValuesAreInstantQueries(t *testing.T) {
	for _, p := range panels(load(t)) {
		for _, target := range p.Targets {
			q := promQuery(t, target)
			now := p.Type == "stat" || p.Type == "table"
			if *q.Instant != now || *q.Range == now {
				t.Errorf("query %s of %q, a %s, is instant: %v", *q.RefId, *p.Title, p.Type, *q.Instant)
			}
			if wants := p.Type == "table"; (*q.Format == prometheus.PromQueryFormatTable) != wants {
				t.Errorf("query %s of %q, a %s, has the format %s", *q.RefId, *p.Title, p.Type, *q.Format)
			}
		}
	}
}

func TestEveryQueryIsLimitedToTheChosenInstances(t *testing.T) {
	chosen := regexp.MustCompile(`^\{job=~"\$job", instance=~"\$instance"[,}]`)
	for _, q := range queries(t, load(t)) {
		for _, use := range parse(q.expr).metrics {
			if !chosen.MatchString(use.matchers) {
				t.Errorf("%s: %s%s is not limited to $job and $instance", q.where, use.name, use.matchers)
			}
		}
	}
}
