package dashboards

import (
	"fmt"
	"slices"
	"testing"

	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/heatmap"
	"github.com/grafana/grafana-foundation-sdk/go/units"
)

const gridWidth = 24 // columns

// panels returns all panels, including panels of collapsed rows, but not the rows.
func panels(d *board) []*dashboard.Panel {
	var all []*dashboard.Panel
	for i := range d.Panels {
		if p := d.Panels[i].Panel; p != nil {
			all = append(all, p)
		}
		if row := d.Panels[i].RowPanel; row != nil {
			for j := range row.Panels {
				all = append(all, &row.Panels[j])
			}
		}
	}
	return all
}

func rows(d *board) []*dashboard.RowPanel {
	var all []*dashboard.RowPanel
	for i := range d.Panels {
		if row := d.Panels[i].RowPanel; row != nil {
			all = append(all, row)
		}
	}
	return all
}

func TestEveryPanelSaysWhatItShows(t *testing.T) {
	titles := map[string]bool{}
	for _, p := range panels(load(t)) {
		if p.Title == nil || *p.Title == "" {
			t.Fatalf("panel %d has no title", *p.Id)
		}
		if titles[*p.Title] {
			t.Errorf("two panels have the title %q", *p.Title)
		}
		titles[*p.Title] = true
		if p.Description == nil || *p.Description == "" {
			t.Errorf("panel %q has no description", *p.Title)
		}
	}
	for _, row := range rows(load(t)) {
		if row.Title == nil || *row.Title == "" {
			t.Errorf("row %d has no title", row.Id)
		}
	}
}

// known units. Grafana shows an unknown unit as it is written.
var known = []string{
	units.BytesIEC, units.CountsPerSecond, units.DateTimeFromNow, units.PercentUnit, units.LocaleFormat, units.Seconds, units.Short, units.String,
	"suffix: / h", "suffix: processes", "suffix: actions",
}

func TestEveryNumberHasAUnit(t *testing.T) {
	for _, p := range panels(load(t)) {
		if len(p.Targets) == 0 {
			continue // a text
		}
		got := []string{""}
		if unit := p.FieldConfig.Defaults.Unit; unit != nil {
			got[0] = *unit
		}
		for _, override := range p.FieldConfig.Overrides {
			for _, property := range override.Properties {
				if property.Id == "unit" {
					got = append(got, fmt.Sprint(property.Value))
				}
			}
		}
		if options, ok := p.Options.(*heatmap.Options); ok {
			got = append(got, *options.YAxis.Unit)
		}
		for _, unit := range got {
			if !slices.Contains(known, unit) {
				t.Errorf("panel %q has the unit %q, want one of %q", *p.Title, unit, known)
			}
		}
	}
}

func TestIdentifiersAreUnique(t *testing.T) {
	d := load(t)
	ids := map[uint32]string{}
	add := func(id uint32, title string) {
		if other, exists := ids[id]; exists {
			t.Errorf("%q and %q have the id %d", title, other, id)
		}
		ids[id] = title
	}
	for _, row := range rows(d) {
		add(row.Id, *row.Title)
	}
	for _, p := range panels(d) {
		add(*p.Id, *p.Title)
		refs := map[string]bool{}
		for _, target := range p.Targets {
			ref := *promQuery(t, target).RefId
			if refs[ref] || ref == "" {
				t.Errorf("panel %q has two queries %q, or a query without a letter", *p.Title, ref)
			}
			refs[ref] = true
		}
	}
}

func TestPanelsDoNotOverlap(t *testing.T) {
	d := load(t)
	cells := map[[2]uint32]string{}
	place := func(title string, at *dashboard.GridPos) {
		if at == nil || at.W == 0 || at.H == 0 || at.X+at.W > gridWidth {
			t.Errorf("%q has no place within %d columns: %+v", title, gridWidth, at)
			return
		}
		for x := at.X; x < at.X+at.W; x++ {
			for y := at.Y; y < at.Y+at.H; y++ {
				if other, taken := cells[[2]uint32{x, y}]; taken {
					t.Fatalf("%q and %q overlap in column %d, line %d", title, other, x, y)
				}
				cells[[2]uint32{x, y}] = title
			}
		}
	}
	for _, row := range rows(d) {
		place(*row.Title, row.GridPos)
	}
	for _, p := range panels(d) {
		place(*p.Title, p.GridPos)
	}
}

func TestTheHealthOfTheExporterIsCollapsed(t *testing.T) {
	all := rows(load(t))
	for i, row := range all {
		last := i == len(all)-1
		if row.Collapsed != last {
			t.Errorf("row %q is collapsed: %v, want %v", *row.Title, row.Collapsed, last)
		}
		if (len(row.Panels) > 0) != row.Collapsed {
			t.Errorf("row %q contains %d panels: the panels of an open row come after it", *row.Title, len(row.Panels))
		}
	}
}
