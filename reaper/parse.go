package reaper

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"go.yaml.in/yaml/v3"
)

// maxFileBytes bounds what Load reads. Nobody writes so long a rules file.
const maxFileBytes = 1 << 20

// What a rules file need not say.
const (
	defaultActions  = 3
	defaultPer      = 10 * time.Minute
	defaultInterval = 5 * time.Second
)

// minInterval keeps a slip of the pen from scanning the host without a pause.
const minInterval = 100 * time.Millisecond

var (
	configKeys  = []string{"trusted_peers", "protect", "limits", "interval", "rules"}
	protectKeys = []string{"exe", "unit"}
	limitsKeys  = []string{"actions", "per"}
)

// Load reads the rules file at path. An error that is about its contents is of type Problems.
func Load(path string) (*Config, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	return Parse(path, data)
}

// Parse reads a rules file from memory; name stands in its errors, which are of type Problems and
// all that were found.
func Parse(name string, data []byte) (*Config, error) {
	config, _, err := parse(name, data)
	return config, err
}

// parse returns what stands in the file, and what is valid there but perhaps not meant.
func parse(name string, data []byte) (*Config, Problems, error) {
	r := &reader{file: name, ruleLines: map[string]int{}}
	var config *Config
	if root := r.document(data); root != nil {
		config = r.config(root)
	}
	if len(r.problems) > 0 {
		return nil, nil, r.problems.inOrder()
	}
	return config, r.warnings.inOrder(), nil
}

func readFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("rules file: %w: say where it is with --reaper.config, and let the exporter read it", err)
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxFileBytes+1))
	if err != nil {
		return nil, fmt.Errorf("rules file: %w: --reaper.config wants the name of a readable file", err)
	}
	if len(data) > maxFileBytes {
		return nil, fmt.Errorf("rules file %s: %w", path, errTooLong)
	}
	return data, nil
}

var errTooLong = errors.New("longer than 1 MiB: is it a rules file? Write fewer rules with wider expressions")

func (r *reader) config(root *yaml.Node) *Config {
	s := r.section("", 1, root, configKeys...)
	c := &Config{
		TrustedPeers: list(s, "trusted_peers", parsePrefix),
		Protect:      readProtect(s.sub("protect", protectKeys...)),
		Limits:       readLimits(s.sub("limits", limitsKeys...)),
		Interval:     value(s, "interval", defaultInterval, parseInterval),
	}
	for i, n := range s.entries("rules") {
		c.Rules = append(c.Rules, r.rule(i+1, n))
	}
	if len(c.Rules) == 0 && !s.broken && !s.refused("rules") {
		s.refuse("rules", "there is no rule: write at least one, or leave out --reaper.config")
	}
	if s.has("trusted_peers") && !anyRule(c, func(r *Rule) bool { return r.When.PeerShare > 0 }) {
		s.warn("trusted_peers", "has no effect: no rule has when.peer_share")
	}
	return c
}

func anyRule(c *Config, is func(*Rule) bool) bool {
	for i := range c.Rules {
		if is(&c.Rules[i]) {
			return true
		}
	}
	return false
}

func readProtect(s *section) Protect {
	return Protect{Exe: list(s, "exe", parseExpression), Unit: list(s, "unit", parseExpression)}
}

func readLimits(s *section) Limits {
	return Limits{
		Actions: value(s, "actions", defaultActions, parseActions),
		Per:     value(s, "per", defaultPer, parsePositive),
	}
}

func parseActions(text string) (int, error) {
	n, err := parseCount(text)
	if err == nil && n == 0 {
		err = errors.New("0 would forbid every action: write mode: dry_run in the rules, or run without --reaper.enforce")
	}
	return n, err
}

func parseInterval(text string) (time.Duration, error) {
	d, err := parseDuration(text)
	if err == nil && d < minInterval {
		err = fmt.Errorf("%s would scan the host without a pause: write %s or more, such as %s", text, minInterval, defaultInterval)
	}
	return d, err
}
