package reaper

import (
	"net/netip"
	"testing"
	"time"
)

func TestParseDuration(t *testing.T) {
	valid := map[string]time.Duration{
		"0s": 0, "0": 0, "90s": 90 * time.Second, "1h30m": 90 * time.Minute, "1.5s": 1500 * time.Millisecond, "250ms": 250 * time.Millisecond,
		"2d": 48 * time.Hour, "1d12h": 36 * time.Hour, "365d": 365 * day, "0d": 0, "8760h": 365 * day,
	}
	for text, want := range valid {
		if got, err := parseDuration(text); err != nil || got != want {
			t.Errorf("%q: %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "60", "s", "-1s", "1d-1h", "-1d", "366d", "364d24h1s", "365d1ns", "9999d", "99999d", "99999999h", "1w", "1d 2h", "5 s", "1d5"} {
		if got, err := parseDuration(text); err == nil {
			t.Errorf("%q is taken for %v", text, got)
		}
	}
}

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

func TestParseEndpoint(t *testing.T) {
	valid := map[string]struct {
		prefix string
		port   uint16
	}{
		"10.0.0.1":                {"10.0.0.1/32", 0},
		"10.0.0.1:443":            {"10.0.0.1/32", 443},
		"10.1.0.0/16":             {"10.1.0.0/16", 0},
		"0.0.0.0/0":               {"0.0.0.0/0", 0},
		"fd00::1":                 {"fd00::1/128", 0},
		"[fd00::1]":               {"fd00::1/128", 0},
		"[fd00::1]:443":           {"fd00::1/128", 443},
		"fd00::/8":                {"fd00::/8", 0},
		"[fd00::]/8":              {"fd00::/8", 0},
		"::ffff:10.0.0.1":         {"10.0.0.1/32", 0},
		"[::ffff:10.0.0.1]:443":   {"10.0.0.1/32", 443},
		"::ffff:10.0.0.0/104":     {"10.0.0.0/8", 0},
		"[::ffff:10.1.0.0]/112":   {"10.1.0.0/16", 0},
		"::ffff:0.0.0.0/96":       {"0.0.0.0/0", 0},
		"::/0":                    {"::/0", 0},
		"::1:2049":                {"::1:2049/128", 0}, // an address, as everywhere: a port needs brackets
		"[::ffff:127.0.0.1]:2049": {"127.0.0.1/32", 2049},
	}
	for text, want := range valid {
		got, err := parseEndpoint(text)
		if err != nil || got != (Endpoint{netip.MustParsePrefix(want.prefix), want.port}) {
			t.Errorf("%q: %v, %v, want %v", text, got, err, want)
		}
	}
	invalid := []string{
		"", ":443", "*:443", "localhost", "localhost:80", "10.0.0", "10.0.0.1:", "10.0.0.1:0", "10.0.0.1:65536", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/",
		"/8", "10.0.0.0/8:443", "[10.0.0.1]", "[10.0.0.1]:443", "[10.0.0.0]/8", "[fd00::1", "fd00::1]", "[[fd00::1]]", "fe80::1%eth0", "[fe80::1%eth0]:443", "fe80::%eth0/64",
		"::ffff:0:0/95", " 10.0.0.1", "010.0.0.1",
	}
	for _, text := range invalid {
		if got, err := parseEndpoint(text); err == nil {
			t.Errorf("%q is taken for %v", text, got)
		}
	}
}

func TestExpressionsAreAnchored(t *testing.T) {
	cases := []struct {
		expression, text string
		want             bool
	}{
		{"java", "java", true},
		{"java", "/usr/bin/java", false},
		{"java", "java17", false},
		{".*/bin/java", "/usr/bin/java", true},
		{"a|b", "ab", false},
		{"a|b", "b", true},
		{"(?i)java", "JAVA", true},
		{".*java.*", "x\njava\ny", true},
		{"java", "java\n", false},
		{"(?m)^java$", "x\njava", false},
		{`\Qa.b\E`, "a.b", true},
	}
	for _, c := range cases {
		e, err := parseExpression(c.expression)
		if err != nil {
			t.Fatal(err)
		}
		if got := e.MatchString(c.text); got != c.want {
			t.Errorf("%q matches %q: %v, want %v", c.expression, c.text, got, c.want)
		}
		if expression(e) != c.expression {
			t.Errorf("%q is written %q", c.expression, expression(e))
		}
	}
}
