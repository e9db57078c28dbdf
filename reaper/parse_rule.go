package reaper

import (
	"fmt"
	"regexp"
	"time"

	"go.yaml.in/yaml/v3"
)

// What a rule need not say.
const (
	defaultSockets  = 2
	defaultCooldown = 10 * time.Minute
)

var (
	ruleKeys   = []string{"name", "mode", "match", "ignore", "when", "steps", "cooldown", "accept_remote_trigger"}
	matchKeys  = []string{"exe", "command", "unit", "user", "container"}
	ignoreKeys = []string{"remote", "local_port"}
	whenKeys   = []string{"sockets", "age", "for", "fds", "direction", "peer_share", "include_defunct"}
)

// rule reads the rule at a position of the list, counted from 1.
func (r *reader) rule(position int, n *yaml.Node) Rule {
	s := r.section(rulePath(position, n), n.Line, n, ruleKeys...)
	when := s.sub("when", whenKeys...)
	rule := Rule{
		Name:                s.ruleName(),
		Mode:                value(s, "mode", DryRun, oneOf(DryRun, Enforce)),
		Match:               readMatch(s.sub("match", matchKeys...)),
		Ignore:              readIgnore(s.sub("ignore", ignoreKeys...)),
		When:                readWhen(when),
		Cooldown:            value(s, "cooldown", defaultCooldown, parsePositive),
		AcceptRemoteTrigger: value(s, "accept_remote_trigger", false, parseBool),
	}
	rungs := s.rungs()
	for _, rung := range rungs {
		rule.Steps = append(rule.Steps, rung.Step)
	}
	s.checkLadder(rungs)
	s.checkRemoteTrigger(&rule, rungs, when)
	warnOfOutage(&rule, rungs, when)
	if rule.Mode == Enforce {
		s.warn("mode", "enforce acts only where the exporter runs with --reaper.enforce")
	}
	return rule
}

var ruleName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$`)

// rulePath calls a rule by its name, or by its position where it has no proper one.
func rulePath(position int, n *yaml.Node) string {
	n = resolve(n)
	for i := 0; n.Kind == yaml.MappingNode && i < len(n.Content); i += 2 {
		if name := resolve(n.Content[i+1]).Value; resolve(n.Content[i]).Value == "name" && ruleName.MatchString(name) {
			return "rule " + name + ": "
		}
	}
	return fmt.Sprintf("rule %d: ", position)
}

func (s *section) ruleName() string {
	name := value(s, "name", "", parseRuleName)
	switch line, taken := s.ruleLines[name]; {
	case !s.has("name") && !s.broken:
		s.refuse("name", "is missing: call the rule something, such as tomcat-leak; metrics and the audit file use it")
	case name == "":
	case taken:
		s.refuse("name", fmt.Sprintf("the rule in line %d has the same name: choose another", line))
	default:
		s.ruleLines[name] = s.at("name")
	}
	return name
}

func parseRuleName(text string) (string, error) {
	if !ruleName.MatchString(text) {
		return "", fmt.Errorf("%q is no name for a rule: write at most 64 letters, digits, dots, dashes and underscores, a letter or digit first", text)
	}
	return text, nil
}

func readMatch(s *section) Match {
	m := Match{
		Exe:       value(s, "exe", nil, parseOptional),
		Command:   value(s, "command", nil, parseOptional),
		Unit:      value(s, "unit", nil, parseOptional),
		User:      value(s, "user", nil, parseOptional),
		Container: value(s, "container", nil, parseOptional),
		memo:      newMemo(),
	}
	given, all := 0, true
	for _, key := range matchKeys {
		if text, err := scalar(s.fields[key].value); err != nil && s.has(key) || text != "" {
			given++
		}
	}
	for _, e := range []*regexp.Regexp{m.Exe, m.Command, m.Unit, m.User, m.Container} {
		all = all && (e == nil || matchesAll(e))
	}
	switch {
	case given == 0 && !s.broken:
		s.problem(s.line, beforeColon(s.path)+"is empty and would select every process of the host: give at least one of exe, command, unit, user, container")
	case given > 0 && all:
		s.warnings = append(s.warnings, Problem{s.file, s.line, beforeColon(s.path) + "selects every process of the host that has what is asked for"})
	}
	return m
}

// parseOptional takes an empty expression for one that is not given.
func parseOptional(text string) (*regexp.Regexp, error) {
	if text == "" {
		return nil, nil
	}
	return parseExpression(text)
}

// matchesAll guesses whether an expression matches whatever there is.
func matchesAll(e *regexp.Regexp) bool {
	for _, text := range []string{"a", "/", "Z9 -_.x", "\n"} {
		if !e.MatchString(text) {
			return false
		}
	}
	return true
}

func readIgnore(s *section) Ignore {
	return Ignore{Remote: list(s, "remote", parseEndpoint), LocalPort: list(s, "local_port", parsePort)}
}
