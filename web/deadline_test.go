package web

import (
	"net/http"
	"testing"
	"time"
)

func TestTheScanEndsBeforeTheScraperGivesUp(t *testing.T) {
	const unknown = writeTimeout - scrapeMargin
	tests := []struct {
		name, header string
		want         time.Duration
	}{
		{"the usual timeout leaves the margin", "10", 9500 * time.Millisecond},
		{"fractions count", "3.25", 2750 * time.Millisecond},
		{"a short timeout leaves a fifth", "1", 800 * time.Millisecond},
		{"a very short timeout leaves a fifth", "0.1", 80 * time.Millisecond},
		{"no header leaves the write timeout", "", unknown},
		{"more than the write timeout is cut", "3600", unknown},
		{"words are ignored", "soon", unknown},
		{"a Go duration is ignored", "10s", unknown},
		{"zero is ignored", "0", unknown},
		{"negative is ignored", "-5", unknown},
		{"not a number is ignored", "NaN", unknown},
		{"infinity is ignored", "+Inf", unknown},
		{"out of range is ignored", "1e999", unknown},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			header := http.Header{}
			header.Set(scrapeTimeoutHeader, test.header)
			if got := scrapeTime(header); got != test.want {
				t.Errorf("scrapeTime(%q) = %s, want %s", test.header, got, test.want)
			}
		})
	}
}
