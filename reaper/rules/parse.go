package rules

import (
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"time"

	"go.yaml.in/yaml/v3"

	"closewait_exporter/reaper/document"
)

// maxFileBytes limits what Load reads.
const maxFileBytes = 1 << 20

// Defaults of the file.
const (
	defaultActions  = 3
	defaultPer      = 10 * time.Minute
	defaultInterval = 5 * time.Second
)

// minInterval prevents a typing error from making the exporter scan the host without a pause.
const minInterval = 100 * time.Millisecond

var (
	configKeys  = []string{"trusted_peers", "protect", "limits", "interval", "fleet", "rules"}
	protectKeys = []string{"exe", "unit", "user", "group"}
	limitsKeys  = []string{"actions", "per"}
)

// Load reads the rules file at path. An error in its content is of type document.Problems.
func Load(path string) (*Config, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	return Parse(path, data)
}

// Parse reads the content of a rules file. Its errors name the file, and are all errors in the
// content, of type document.Problems.
func Parse(name string, data []byte) (*Config, error) {
	config, p := parse(name, data)
	if problems := p.Problems(); len(problems) > 0 {
		return nil, problems
	}
	return config, nil
}

// parse also returns the parser, which has the errors, and warnings of content that is valid but
// probably unintended. With errors the Config is incomplete or nil.
func parse(name string, data []byte) (*Config, *parser) {
	p := &parser{Reader: document.NewReader(name), ruleLines: map[string]int{}}
	p.Renamed = map[string]string{"include_defunct": "states: [close_wait, closed], the default of a rule with fds"}
	var config *Config
	if root := p.Root(data); root != nil {
		config = p.config(root)
	}
	return config, p
}

// parser reads one rules file.
type parser struct {
	*document.Reader
	ruleLines map[string]int // by name
	guards    []guardAt
	users     []userAt
	endings   []endingAt
}

func readFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("rules file: %w: give its path with --reaper.config, and let the exporter read it", err)
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxFileBytes+1))
	if err != nil {
		return nil, fmt.Errorf("rules file: %w: --reaper.config needs the path of a readable file", err)
	}
	if len(data) > maxFileBytes {
		return nil, fmt.Errorf("rules file %s: %w", path, errTooLong)
	}
	return data, nil
}

var errTooLong = errors.New("longer than 1 MiB: is it a rules file? Write fewer rules with wider expressions")

func (p *parser) config(root *yaml.Node) *Config {
	s := p.Section("", 1, root, configKeys...)
	c := &Config{
		TrustedPeers: document.List(s, "trusted_peers", parsePrefix),
		Protect:      p.protect(s.Sub("protect", protectKeys...)),
		Limits:       readLimits(s.Sub("limits", limitsKeys...)),
		Interval:     document.Value(s, "interval", defaultInterval, parseInterval),
	}
	warnEveryAddress(s, "trusted_peers", "when.peer_share has no effect on them")
	interval := c.Interval
	if s.Refused("interval") {
		interval = 0 // unknown
	}
	for i, n := range s.Entries("rules") {
		c.Rules = append(c.Rules, p.rule(i+1, n, interval))
	}
	p.fleet(s.Sub("fleet", fleetKeys...), c)
	if len(c.Rules) == 0 && !s.Broken() && !s.Refused("rules") {
		s.Refuse("rules", "there is no rule: write at least one, or leave out --reaper.config")
	}
	if p.Count() == 0 && s.Has("trusted_peers") && !slices.ContainsFunc(c.Rules, func(r Rule) bool { return r.When.PeerShare > 0 }) {
		s.Warn("trusted_peers", "has no effect: no rule has when.peer_share")
	}
	return c
}

func (p *parser) protect(s *document.Section) Protect {
	list := func(key string) []*regexp.Regexp { return document.List(s, key, parseExpression) }
	protect := Protect{Exe: list("exe"), Unit: list("unit"), User: list("user"), Group: list("group")}
	p.warnExpressions(s, protectKeys)
	return protect
}

func readLimits(s *document.Section) Limits {
	return Limits{
		Actions: document.Value(s, "actions", defaultActions, parseActions),
		Per:     document.Value(s, "per", defaultPer, document.ParsePositive),
	}
}

func parseActions(text string) (int, error) {
	n, err := document.ParseCount(text)
	if err == nil && n == 0 {
		err = errors.New("0 would forbid every action: write mode: dry_run in the rules, or run without --reaper.enforce")
	}
	return n, err
}

func parseInterval(text string) (time.Duration, error) {
	d, err := document.ParseDuration(text)
	if err == nil && d < minInterval {
		err = fmt.Errorf("%s would scan the host without a pause: write %s or more, such as %s", text, minInterval, defaultInterval)
	}
	return d, err
}
