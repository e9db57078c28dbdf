package dashboards

import (
	"fmt"
	"slices"
	"testing"

	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/table"
)

const renaming = "organize" //nolint:misspell // as Grafana writes it

// TestTablesReferToTheirOwnColumns: the queries of a table make columns, a transformation names
// them, and formats, links and the order of rows refer to the names. Grafana does not report a name
// that does not exist.
func TestTablesReferToTheirOwnColumns(t *testing.T) {
	for _, p := range panels(load(t)) {
		options, isTable := p.Options.(*table.Options)
		if !isTable {
			continue
		}
		t.Run(*p.Title, func(t *testing.T) {
			columns := columns(t, p)
			for _, override := range p.FieldConfig.Overrides {
				if name := fmt.Sprint(override.Matcher.Options); !slices.Contains(columns, name) {
					t.Errorf("a format refers to the column %q, which is not one of %q", name, columns)
				}
			}
			for _, sort := range options.SortBy {
				if !slices.Contains(columns, sort.DisplayName) {
					t.Errorf("sorted by %q, which is not one of %q", sort.DisplayName, columns)
				}
			}
		})
	}
}

// columns returns the names of the columns, and fails the test for a column that is neither named
// nor hidden.
func columns(t *testing.T, p *dashboard.Panel) []string {
	t.Helper()
	var names []string
	last := p.Transformations[len(p.Transformations)-1]
	if last.Id != renaming {
		t.Fatalf("the last transformation is %s, want %s", last.Id, renaming)
	}
	settled := map[string]bool{}
	options := last.Options.(map[string]any)
	for from, to := range options["renameByName"].(map[string]any) {
		settled[from] = true
		names = append(names, fmt.Sprint(to))
	}
	for from, hidden := range options["excludeByName"].(map[string]any) {
		settled[from] = hidden.(bool)
	}
	for _, target := range p.Targets {
		value := "Value"
		if len(p.Targets) > 1 {
			value = "Value #" + *promQuery(t, target).RefId
		}
		if !settled[value] {
			t.Errorf("the column %q has no name", value)
		}
	}
	return names
}
