package rules

import (
	"net/netip"
	"testing"
)

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
