package rules

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"net/url"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	promconfig "github.com/prometheus/common/config"

	"closewait_exporter/reaper/document"
	"closewait_exporter/reaper/step"
)

// Defaults of fleet.brake. Two scrapes of a minute fit into the time that it settles.
const (
	defaultSettle       = 2 * time.Minute
	defaultBrakeTimeout = 5 * time.Second
	maxBrakeTimeout     = time.Minute
	defaultHold         = 10 * time.Minute
	maxSlots            = 100
)

var (
	fleetKeys = []string{"brake", "slots"}
	slotsKeys = []string{"namespace", "count", "hold"}
	brakeKeys = []string{"url", "query", "below", "settle", "timeout", "http_config"}
)

// Fleet is what decides for many hosts. Without it each host decides alone.
type Fleet struct {
	Brake *Brake // nil: none
	Slots *Slots // nil: none
}

// Slots are Leases of Kubernetes. A rule acts only on a number of hosts at the same time.
type Slots struct {
	Namespace string // of the Leases
	Count     int    // for each rule
	Hold      time.Duration
}

// LeasePrefix is what the names of the Leases of a rule begin with, before a dash and a number.
func LeasePrefix(rule string) string { return "closewait-" + rule }

// Brake is a question to Prometheus: a rule acts only if the answer is below a limit.
type Brake struct {
	URL     string
	Query   Query
	Below   float64
	Settle  time.Duration // for which a process is a candidate before the question is asked
	Timeout time.Duration
	HTTP    promconfig.HTTPClientConfig
}

// fleet reads the section, and compares it with the rules.
func (p *parser) fleet(s *document.Section, c *Config) {
	if s.Has("brake") {
		c.Fleet.Brake = p.brake(s.Sub("brake", brakeKeys...))
	}
	if s.Has("slots") {
		slots := s.Sub("slots", slotsKeys...)
		c.Fleet.Slots = readSlots(slots)
		checkSlots(slots, c)
	}
}

func readSlots(s *document.Section) *Slots {
	slots := &Slots{
		Namespace: document.Value(s, "namespace", "", parseNamespace),
		Count:     document.Value(s, "count", 0, parseSlots),
		Hold:      document.Value(s, "hold", defaultHold, parseHold),
	}
	if !s.Has("namespace") && !s.Broken() {
		s.Refuse("namespace", "is missing: give the namespace of the Leases, such as closewait")
	}
	if !s.Has("count") && !s.Broken() {
		s.Refuse("count", "is missing: say on how many hosts each rule may act at the same time, such as 1")
	}
	return slots
}

// holdReserve is what the checks before the steps of a rule can take, besides the steps.
const holdReserve = time.Minute

// leaseName matches the part of the name of a Lease that is the name of a rule.
var leaseName = regexp.MustCompile(`^[a-z0-9]+(?:-+[a-z0-9]+|\.[a-z0-9]+)*$`)

// checkSlots refuses what does not go together with a rule.
func checkSlots(s *document.Section, c *Config) {
	for i := range c.Rules {
		rule := &c.Rules[i]
		if rule.Name != "" && !leaseName.MatchString(rule.Name) {
			s.RefuseAll(fmt.Sprintf("rule %s: its name is part of the names of Leases: rename it to lowercase letters, digits, dashes and dots", rule.Name))
		}
		if least := rule.duration(c.Interval) + holdReserve; !s.Refused("hold") && c.Fleet.Slots.Hold < least {
			s.Refuse("hold", fmt.Sprintf("%s is less than the steps of rule %s can take: write %s or more", c.Fleet.Slots.Hold, rule.Name, least))
		}
	}
}

// duration is the maximum time that the steps of a rule take and wait, at that interval between
// rounds.
func (r *Rule) duration(interval time.Duration) time.Duration {
	var d time.Duration
	for _, s := range r.Steps {
		d += cmp.Or(s.Traits().Wait, interval)
		switch s := s.(type) {
		case step.Run:
			d += s.Timeout
		case step.RestartUnit:
			d += s.Timeout
		case step.Evidence:
			d += step.EvidenceTime
		}
	}
	return d
}

var namespaceName = regexp.MustCompile(`^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$`)

func parseNamespace(text string) (string, error) {
	if !namespaceName.MatchString(text) {
		return "", fmt.Errorf("%q is no name of a namespace: write such as closewait", text)
	}
	return text, nil
}

func parseSlots(text string) (int, error) {
	n, err := document.ParseCount(text)
	if err == nil && (n == 0 || n > maxSlots) {
		err = fmt.Errorf("%d is not between 1 and %d: a host asks for the slots one by one", n, maxSlots)
	}
	return n, err
}

// parseHold reads a time that a Lease can have: whole seconds.
func parseHold(text string) (time.Duration, error) {
	d, err := document.ParsePositive(text)
	if err == nil && d%time.Second != 0 {
		err = fmt.Errorf("%s has a fraction of a second: write whole seconds", d)
	}
	return d, err
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
