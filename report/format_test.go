package report

import (
	"testing"
	"time"

	"closewait_exporter/closewait"
)

func TestDurationsHaveTheirTwoLargestUnits(t *testing.T) {
	tests := map[time.Duration]string{
		0:                                    "<1s",
		999 * time.Millisecond:               "<1s",
		time.Second:                          "1s",
		59999 * time.Millisecond:             "59s",
		time.Minute:                          "1m00s",
		3*time.Minute + 12*time.Second:       "3m12s",
		time.Hour - time.Nanosecond:          "59m59s",
		2*time.Hour + 5*time.Minute:          "2h05m",
		day:                                  "1d00h",
		3*day + 4*time.Hour + 59*time.Minute: "3d04h",
		1000 * day:                           "1000d00h",
	}
	for d, want := range tests {
		if got := Duration(d); got != want {
			t.Errorf("Duration(%s) = %q, want %q", d, got, want)
		}
	}
}

func TestSizesHaveBinaryUnits(t *testing.T) {
	tests := map[uint64]string{
		0:             "0",
		1:             "1B",
		1023:          "1023B",
		1024:          "1.0KiB",
		1258291:       "1.2MiB",
		1<<20 - 1:     "1.0MiB",
		5 << 30:       "5.0GiB",
		1<<40 - 1:     "1.0TiB",
		1<<64 - 1<<40: "16777215.0TiB",
	}
	for n, want := range tests {
		if got := size(n); got != want {
			t.Errorf("size(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestPercentIsRoundedDown(t *testing.T) {
	tests := []struct {
		part, whole uint64
		want        string
	}{
		{0, 10, "0%"}, {1, 1000, "<1%"}, {29, 100, "29%"}, {999, 1000, "99%"}, {1000, 1000, "100%"}, {12, 10, "120%"},
	}
	for _, test := range tests {
		if got := percent(test.part, test.whole); got != test.want {
			t.Errorf("percent(%d, %d) = %q, want %q", test.part, test.whole, got, test.want)
		}
	}
}

func TestDescriptorsSayWhatIsNotKnown(t *testing.T) {
	tests := map[string]closewait.Process{
		"1310/4096 31%":  {FDsKnown: true, OpenFDs: 1310, MaxFDs: 4096},
		"0/1024 0%":      {FDsKnown: true, MaxFDs: 1024},
		"64/unlimited":   {FDsKnown: true, OpenFDs: 64, MaxFDs: closewait.UnlimitedFDs},
		"?/unlimited":    {MaxFDs: closewait.UnlimitedFDs},
		"?/1024":         {MaxFDs: 1024},
		"7/?":            {FDsKnown: true, OpenFDs: 7},
		"?/?":            {},
		"1024/1024 100%": {FDsKnown: true, OpenFDs: 1024, MaxFDs: 1024},
	}
	for want, process := range tests {
		if got := descriptors(&process); got != want {
			t.Errorf("descriptors of %+v are %q, want %q", process, got, want)
		}
	}
}
