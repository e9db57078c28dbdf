package report

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/diagnose"
	"closewait_exporter/history"
)

func TestEveryFieldOfTheJSONIsDocumented(t *testing.T) {
	page, err := os.ReadFile("../docs/LIST.md")
	if err != nil {
		t.Fatal(err)
	}
	report := leaking().report(time.Second)
	report.History = history.New()
	report.Verdicts = map[closewait.ProcessID]diagnose.Verdict{report.Listed[0].ID: {Kind: diagnose.NeverCloses}}
	report.Visibility.Missing = []closewait.MissingCapability{{Capability: "CAP_SYS_ADMIN", Lost: "ages"}}
	var out bytes.Buffer
	if err := report.JSON(&out, true); err != nil {
		t.Fatal(err)
	}
	var value any
	if err := json.Unmarshal(out.Bytes(), &value); err != nil {
		t.Fatal(err)
	}
	documented := strings.NewReplacer("[]", "", "`", " ", ".", " ", ",", " ").Replace(string(page))
	words := map[string]bool{}
	for word := range strings.FieldsSeq(documented) {
		words[word] = true
	}
	for field := range fields(value) {
		if !words[field] {
			t.Errorf("docs/LIST.md does not describe %s", field)
		}
	}
}

// fields are the names of all fields in a JSON value, however deep.
func fields(value any) map[string]bool {
	names := map[string]bool{}
	switch v := value.(type) {
	case map[string]any:
		for name, inner := range v {
			names[name] = true
			for name := range fields(inner) {
				names[name] = true
			}
		}
	case []any:
		for _, inner := range v {
			for name := range fields(inner) {
				names[name] = true
			}
		}
	}
	return names
}
