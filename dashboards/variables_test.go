package dashboards

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

// ofGrafana are the variables that Grafana defines.
var ofGrafana = []string{"__rate_interval", "__range", "__url_time_range", "__value", "__data", "__all"}

var (
	variable    = regexp.MustCompile(`\$\{?(\w+)`)
	labelValues = regexp.MustCompile(`^label_values\((.+), (\w+)\)$`)
)

// variables returns the names of the variables of the dashboard.
func variables(d *board) []string {
	var names []string
	for i := range d.Templating.List {
		names = append(names, d.Templating.List[i].Name)
	}
	return names
}

func TestVariablesAreDefinedAndUsed(t *testing.T) {
	defined := variables(load(t))
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for _, found := range variable.FindAllStringSubmatch(string(raw), -1) {
		used[found[1]] = true
		if !slices.Contains(slices.Concat(defined, ofGrafana), found[1]) {
			t.Errorf("%s is not defined", found[0])
		}
	}
	for _, name := range defined {
		if !used[name] {
			t.Errorf("$%s is defined and not used", name)
		}
	}
}

// TestTheDataSourceIsChosenByVariable: data sources have other names in each Grafana.
func TestTheDataSourceIsChosenByVariable(t *testing.T) {
	const chosen = "${datasource}"
	d := load(t)
	for _, p := range panels(d) {
		if len(p.Targets) > 0 && *p.Datasource.Uid != chosen {
			t.Errorf("panel %q queries %q", *p.Title, *p.Datasource.Uid)
		}
	}
	for _, a := range annotations(d) {
		if *a.Datasource.Uid != chosen {
			t.Errorf("annotation %q queries %q", a.Name, *a.Datasource.Uid)
		}
	}
	for i := range d.Templating.List {
		v := &d.Templating.List[i]
		if v.Type == dashboard.VariableTypeQuery && *v.Datasource.Uid != chosen {
			t.Errorf("variable %s queries %q", v.Name, *v.Datasource.Uid)
		}
	}
}

// choice is a variable with the values of a label, or one that depends on a recording rule and need
// not have any value.
type choice struct{ name, selector, label, all string }

// choices returns the variables with values of labels in order: each may use the ones before it.
func choices(t *testing.T, d *board) []choice {
	t.Helper()
	var all []choice
	for i := range d.Templating.List {
		v := &d.Templating.List[i]
		if v.Type != dashboard.VariableTypeQuery {
			continue
		}
		if query := v.Query.Map["query"].(string); strings.HasPrefix(query, "query_result(") {
			all = append(all, choice{name: v.Name, selector: query, all: *v.AllValue})
			continue
		}
		found := labelValues.FindStringSubmatch(v.Query.Map["query"].(string))
		if found == nil || found[0] != *v.Definition {
			t.Fatalf("variable %s: %v is not a label_values(selector, label), or not its definition %q", v.Name, v.Query.Map["query"], *v.Definition)
		}
		all = append(all, choice{name: v.Name, selector: found[1], label: found[2]})
	}
	return all
}

func TestVariablesUseOnlyExistingMetricsAndLabels(t *testing.T) {
	known := series(published())
	for _, c := range choices(t, load(t)) {
		if c.all != "" {
			requireRules(t, c)
			continue
		}
		for _, use := range parse(c.selector).metrics {
			for _, label := range append(use.labels, c.label) {
				if !slices.Contains(known[use.name], label) {
					t.Errorf("variable %s: no %s with a label %s", c.name, use.name, label)
				}
			}
		}
	}
}

// recorded matches the names of recording rules.
var recorded = regexp.MustCompile(`\bclosewait:[a-z_:]+`)

// requireRules checks that the rules of alerts/ record what a variable selects.
func requireRules(t *testing.T, c choice) {
	t.Helper()
	rules, err := os.ReadFile("../alerts/closewait.rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	names := recorded.FindAllString(c.selector, -1)
	if len(names) == 0 {
		t.Errorf("variable %s is neither the value of a label nor of a rule: %s", c.name, c.selector)
	}
	for _, name := range names {
		if !strings.Contains(string(rules), "- record: "+name+"\n") {
			t.Errorf("variable %s: no rule records %s", c.name, name)
		}
	}
}

// TestTrendsAreOverTheChosenTime: no expression has a fixed time range.
func TestTrendsAreOverTheChosenTime(t *testing.T) {
	for _, q := range queries(t, load(t)) {
		for _, found := range window.FindAllString(q.expr, -1) {
			if !strings.HasPrefix(found, "[$") {
				t.Errorf("%s is over a fixed %s", q.where, found)
			}
		}
	}
}
