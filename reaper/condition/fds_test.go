package condition

import "testing"

func TestParseThreshold(t *testing.T) {
	valid := map[string]Threshold{"1": {Count: 1}, "900": {Count: 900}, "80%": {Ratio: 0.8}, "100%": {Ratio: 1}, "12.5%": {Ratio: 0.125}}
	for text, want := range valid {
		got, err := parseThreshold(text)
		if err != nil || got != want {
			t.Errorf("%q: %v, %v, want %v", text, got, err, want)
		}
		if got.String() != text {
			t.Errorf("%q is written %s", text, got)
		}
	}
	for _, text := range []string{"", "%", "0", "0%", "0.0%", "-5%", "+5%", "5 %", "1e1%", "NaN%", "100.1%", "80%%", "0x10", "1.5", "-1", "99999999999999999999"} {
		if got, err := parseThreshold(text); err == nil {
			t.Errorf("%q is taken for %v", text, got)
		}
	}
}
