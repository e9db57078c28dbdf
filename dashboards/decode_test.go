package dashboards

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/heatmap"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/statetimeline"
	"github.com/grafana/grafana-foundation-sdk/go/table"
	"github.com/grafana/grafana-foundation-sdk/go/text"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

const file = "closewait.json"

// The newer schema, dashboardv2, is only for Grafana 12 and later.
type board = dashboard.Dashboard //nolint:staticcheck // deprecated in favour of dashboardv2

// load returns the dashboard, or fails the test with everything in the file that is not in
// Grafana's schema.
func load(t *testing.T) *board {
	t.Helper()
	d, err := read()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

var read = sync.OnceValues(func() (*board, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	d, err := decode(raw)
	if err != nil {
		return nil, fmt.Errorf("%s is not a dashboard:\n%w", file, err)
	}
	return d, nil
})

// decode decodes strictly, including the options of each kind of panel that is registered here.
func decode(raw []byte) (*board, error) {
	schemas := cog.NewRuntime()
	schemas.RegisterDataqueryVariant(prometheus.VariantConfig())
	schemas.RegisterPanelcfgVariant(heatmap.VariantConfig())
	schemas.RegisterPanelcfgVariant(stat.VariantConfig())
	schemas.RegisterPanelcfgVariant(statetimeline.VariantConfig())
	schemas.RegisterPanelcfgVariant(table.VariantConfig())
	schemas.RegisterPanelcfgVariant(text.VariantConfig())
	schemas.RegisterPanelcfgVariant(timeseries.VariantConfig())
	if err := strictly(&board{}, raw); err != nil {
		return nil, err
	}
	d := &board{} // strict decoding loses the panels
	if err := json.Unmarshal(raw, d); err != nil {
		return nil, err
	}
	var errs []error
	for _, p := range panels(d) {
		if _, known := schemas.ConfigForPanelcfgVariant(p.Type); !known {
			errs = append(errs, fmt.Errorf("panel %q: the type %s is not checked: register it here", *p.Title, p.Type))
		}
	}
	var file struct{ Panels []rawPanel }
	if err := json.Unmarshal(raw, &file); err != nil {
		return nil, err
	}
	for _, p := range file.Panels {
		errs = append(errs, p.check())
	}
	return d, errors.Join(errs...)
}

// strictly decodes. The strict methods of the SDK (v0.0.18) never return nil: they return an empty
// list of errors on success.
func strictly(into interface{ UnmarshalJSONStrict([]byte) error }, raw []byte) error {
	err := into.UnmarshalJSONStrict(raw)
	if list := (cog.BuildErrors)(nil); errors.As(err, &list) && len(list) == 0 {
		return nil
	}
	return err
}

// rawPanel has the parts of a panel or row that the SDK does not decode strictly with the
// dashboard.
type rawPanel struct {
	Type, Title string
	Targets     []json.RawMessage
	FieldConfig json.RawMessage
	Panels      []rawPanel
}

func (p rawPanel) check() error {
	var errs []error
	for _, target := range p.Targets {
		errs = append(errs, strictly(&prometheus.Dataquery{}, target))
	}
	if p.FieldConfig != nil {
		errs = append(errs, strictly(&dashboard.FieldConfigSource{}, p.FieldConfig), p.checkOverrides())
	}
	for _, inner := range p.Panels {
		errs = append(errs, inner.check())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("panel %q: %w", p.Title, err)
	}
	return nil
}

// checkOverrides applies the properties of each override to the whole panel and checks that,
// because the schema accepts any identifier, such as custom.width, with any value.
func (p rawPanel) checkOverrides() error {
	var config struct {
		Defaults  map[string]any
		Overrides []struct {
			Properties []dashboard.DynamicConfigValue
		}
	}
	if err := json.Unmarshal(p.FieldConfig, &config); err != nil {
		return err
	}
	var errs []error
	for _, override := range config.Overrides {
		defaults := maps.Clone(config.Defaults)
		custom, _ := defaults["custom"].(map[string]any) // a stat has none
		custom = maps.Clone(custom)
		for _, property := range override.Properties {
			if id, ok := strings.CutPrefix(property.Id, "custom."); ok {
				custom[id] = property.Value
			} else {
				defaults[property.Id] = property.Value
			}
		}
		defaults["custom"] = custom
		whole, err := json.Marshal(map[string]any{"defaults": defaults, "overrides": []any{}})
		if err != nil {
			return err
		}
		panel, err := json.Marshal(map[string]any{"type": p.Type, "fieldConfig": json.RawMessage(whole)})
		if err != nil {
			return err
		}
		errs = append(errs, strictly(&dashboard.FieldConfigSource{}, whole), strictly(&dashboard.Panel{}, panel))
	}
	return errors.Join(errs...)
}

func TestDecodingIsStrict(t *testing.T) {
	const whole = `{"schemaVersion": 39, "templating": {}, "annotations": {}, %s "panels": [
		{"type": "row", "title": "r", "id": 1, "collapsed": true, "panels": [{"type": "%s", "title": "a", "datasource": {"type": "prometheus"},
			"targets": [{"expr": "up"%s}], "fieldConfig": {"defaults": {"custom": {}%s}, "overrides": [
				{"matcher": {"id": "byName", "options": "x"}, "properties": [{"id": "custom.lineWidth", "value": 1}%s]}]}}]}]}`
	tests := []struct {
		name, top, kind, target, defaults, override string
		valid                                       bool
	}{
		{name: "the smallest valid dashboard", kind: "timeseries", valid: true},
		{name: "an unknown key of the dashboard", top: `"colour": "red",`, kind: "timeseries"},
		{name: "an unknown key of a query", kind: "timeseries", target: `, "lagend": "x"`},
		{name: "an unknown key of the fields", kind: "timeseries", defaults: `, "units": "s"`},
		{name: "an unknown key of the drawing", kind: "timeseries", defaults: `, "custom": {"fill": 1}`},
		{name: "an unknown property of an override", kind: "timeseries", override: `, {"id": "units", "value": "s"}`},
		{name: "an unknown property of the drawing in an override", kind: "timeseries", override: `, {"id": "custom.fill", "value": 1}`},
		{name: "a property of another type in an override", kind: "timeseries", override: `, {"id": "unit", "value": 1}`},
		{name: "a kind of panel that is not checked", kind: "piechart"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := decode(fmt.Appendf(nil, whole, tt.top, tt.kind, tt.target, tt.defaults, tt.override))
			if (err == nil) != tt.valid {
				t.Errorf("error is %v, want an error: %v", err, !tt.valid)
			}
		})
	}
}
