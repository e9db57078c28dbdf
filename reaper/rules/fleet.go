package rules

import (
	"errors"
	"fmt"
	"math"
	"net/url"
	"path/filepath"
	"strconv"
	"time"

	promconfig "github.com/prometheus/common/config"

	"closewait_exporter/reaper/document"
)

// Defaults of fleet.brake. Two scrapes of a minute fit into the time that it settles.
const (
	defaultSettle       = 2 * time.Minute
	defaultBrakeTimeout = 5 * time.Second
	maxBrakeTimeout     = time.Minute
)

var (
	fleetKeys = []string{"brake"}
	brakeKeys = []string{"url", "query", "below", "settle", "timeout", "http_config"}
)

// Fleet is what decides for many hosts. Without it each host decides alone.
type Fleet struct {
	Brake *Brake // nil: none
}

// Brake is a question to Prometheus: a rule acts only if the answer is below a limit.
type Brake struct {
	URL     string
	Query   Query
	Below   float64
	Settle  time.Duration // for which a process is a candidate before the question is asked
	Timeout time.Duration
	HTTP    promconfig.HTTPClientConfig
}

func (p *parser) fleet(s *document.Section) Fleet {
	var fleet Fleet
	if s.Has("brake") {
		fleet.Brake = p.brake(s.Sub("brake", brakeKeys...))
	}
	return fleet
}

func (p *parser) brake(s *document.Section) *Brake {
	b := &Brake{
		URL:     document.Value(s, "url", "", parseURL),
		Query:   document.Value(s, "query", "", ParseQuery),
		Below:   document.Value(s, "below", 0, parseBelow),
		Settle:  document.Value(s, "settle", defaultSettle, document.ParsePositive),
		Timeout: document.Value(s, "timeout", defaultBrakeTimeout, parseBrakeTimeout),
		HTTP:    promconfig.DefaultHTTPClientConfig,
	}
	document.Decode(s, "http_config", &b.HTTP)
	b.HTTP.SetDirectory(filepath.Dir(p.File()))
	for _, required := range []struct{ key, text string }{
		{"url", "is missing: give the address of Prometheus, such as http://127.0.0.1:9090"},
		{"query", `is missing: give a query that counts candidates, such as 'sum(closewait_reaper_candidates{mode="enforce",rule="$rule"})'`},
		{"below", "is missing: say below which result of the query a rule may act, such as 5"},
	} {
		if !s.Has(required.key) && !s.Broken() {
			s.Refuse(required.key, required.text)
		}
	}
	if s.Has("settle") && !s.Refused("settle") && b.Settle < time.Minute {
		s.Warn("settle", "is shorter than two scrapes at the usual interval of 30s: candidates of other hosts may not be counted yet")
	}
	return b
}

// parseURL reads the address of a server. Its password would be in messages, so none is allowed.
func parseURL(text string) (string, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return "", errors.New("is not the address of a server: write such as http://127.0.0.1:9090")
	case u.User != nil:
		return "", errors.New("has a user or a password: write basic_auth below http_config")
	case u.RawQuery != "" || u.Fragment != "":
		return "", fmt.Errorf("%q has a query: write the address only", text)
	}
	return text, nil
}

func parseBelow(text string) (float64, error) {
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || !(n > 0) || math.IsInf(n, 0) {
		return 0, fmt.Errorf("%q is not a number above 0: write such as 5", text)
	}
	return n, nil
}

func parseBrakeTimeout(text string) (time.Duration, error) {
	d, err := document.ParsePositive(text)
	if err == nil && d > maxBrakeTimeout {
		err = fmt.Errorf("%s is too long, because the host changes meanwhile: write %s or less", d, maxBrakeTimeout)
	}
	return d, err
}
