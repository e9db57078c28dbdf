package check

import (
	"strings"
	"testing"
)

// TestRangesFollowTheGuidelines has the examples of the Monitoring Plugins guidelines first.
func TestRangesFollowTheGuidelines(t *testing.T) {
	tests := []struct {
		text           string
		alerts, silent []float64
	}{
		{"10", []float64{-1, 10.1, 11}, []float64{0, 5, 10}},
		{"10:", []float64{-1, 0, 9.9}, []float64{10, 1e12}},
		{"~:10", []float64{10.1}, []float64{-1e12, 0, 10}},
		{"10:20", []float64{9, 21}, []float64{10, 15, 20}},
		{"@10:20", []float64{10, 15, 20}, []float64{9.9, 20.1}},
		{"0:10", []float64{-1, 11}, []float64{0, 10}},
		{":10", []float64{-1, 11}, []float64{0, 10}},
		{"@10", []float64{0, 10}, []float64{-1, 11}},
		{"@10:", []float64{10, 1e12}, []float64{9}},
		{"@~:0", []float64{-1, 0}, []float64{1}},
		{"-5:-1.5", []float64{-6, -1, 0}, []float64{-5, -1.5}},
		{"0.5", []float64{0.51}, []float64{0.5}},
		{"0", []float64{1, -1}, []float64{0}},
		{"~:", nil, []float64{-1e12, 0, 1e12}},
	}
	for _, test := range tests {
		t.Run(test.text, func(t *testing.T) {
			r, err := ParseRange(test.text)
			if err != nil || r.String() != test.text {
				t.Fatalf("range %q, error %v", r, err)
			}
			for _, value := range test.alerts {
				if !r.alerts(value) {
					t.Errorf("no alert for %g", value)
				}
			}
			for _, value := range test.silent {
				if r.alerts(value) {
					t.Errorf("an alert for %g", value)
				}
			}
			if r.never() != (test.alerts == nil) {
				t.Errorf("never alerts: %t", r.never())
			}
		})
	}
}

func TestTheZeroRangeNeverAlerts(t *testing.T) {
	var r Range
	if !r.never() || r.alerts(0) || r.alerts(1) {
		t.Error("it alerts")
	}
}

func TestWhatIsNotARangeIsRefused(t *testing.T) {
	for _, text := range []string{"", ":", "@", "@:", "~", "10:~", "10m", "80%", "1e3", "inf", "NaN", "0x10", "1_0", " 10", "10,5", "10:20:30", "@@1:2", "--5", "20:10", "10 20"} {
		if r, err := ParseRange(text); err == nil || !strings.Contains(err.Error(), "is not a range") {
			t.Errorf("%q is the range %+v, error %v", text, r, err)
		}
	}
}

func FuzzARangeThatIsAcceptedIsPrintedAsItWas(f *testing.F) {
	for _, seed := range []string{"10", "10:", "~:10", "10:20", "@10:20", "~:", "x"} {
		f.Add(seed, 1.0)
	}
	f.Fuzz(func(t *testing.T, text string, value float64) {
		r, err := ParseRange(text)
		if err != nil {
			return
		}
		if r.String() != text || strings.ContainsAny(text, ";|= '\n") {
			t.Errorf("%q is printed as %q", text, r)
		}
		if r.never() && r.alerts(value) {
			t.Errorf("%q alerts for %g", text, value)
		}
	})
}
