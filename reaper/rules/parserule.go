package rules

import (
	"fmt"
	"regexp"
	"strconv"
	"time"

	"go.yaml.in/yaml/v3"

	"closewait_exporter/reaper/condition"
	"closewait_exporter/reaper/document"
)

const defaultCooldown = 10 * time.Minute

var (
	ruleKeys   = append([]string{"name", "mode", "match", "ignore", "when", "steps", "cooldown", "accept_remote_trigger", "accept_no_restart"}, condition.RuleKeys()...)
	matchKeys  = []string{"exe", "command", "unit", "user", "container"}
	ignoreKeys = []string{"remote", "local_port"}
)

// rule reads the rule at a position of the list, counted from 1. The interval between rounds is 0
// if it is not known.
func (p *parser) rule(position int, n *yaml.Node, interval time.Duration) Rule {
	s := p.Section(rulePath(position, n), n.Line, n, ruleKeys...)
	match, when := s.Sub("match", matchKeys...), s.Sub("when", condition.Keys()...)
	rule := Rule{
		Name:                p.ruleName(s),
		Mode:                document.Value(s, "mode", DryRun, document.OneOf(DryRun, Enforce)),
		Match:               p.match(match),
		Ignore:              readIgnore(s.Sub("ignore", ignoreKeys...)),
		When:                readWhen(s, when),
		Cooldown:            document.Value(s, "cooldown", defaultCooldown, document.ParsePositive),
		AcceptRemoteTrigger: document.Value(s, "accept_remote_trigger", false, document.ParseBool),
		AcceptNoRestart:     document.Value(s, "accept_no_restart", false, document.ParseBool),
	}
	steps := p.steps(s)
	for _, step := range steps {
		rule.Steps = append(rule.Steps, step.Step)
		p.noteGuard(step)
	}
	p.checkSteps(steps)
	p.checkRemoteTrigger(&rule, steps, s, when)
	p.checkRestart(&rule, s, match)
	warnConditions(&rule, steps, s, when, interval)
	if rule.Mode == Enforce {
		s.Warn("mode", "enforce acts only if the exporter runs with --reaper.enforce")
	}
	return rule
}

var ruleName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$`)

// rulePath names a rule in messages, by its position if it has no valid name.
func rulePath(position int, n *yaml.Node) string {
	n = document.Resolve(n)
	for i := 0; n.Kind == yaml.MappingNode && i < len(n.Content); i += 2 {
		if name := document.Resolve(n.Content[i+1]).Value; document.Resolve(n.Content[i]).Value == "name" && ruleName.MatchString(name) {
			return "rule " + name + ": "
		}
	}
	return "rule " + strconv.Itoa(position) + ": "
}

func (p *parser) ruleName(s *document.Section) string {
	name := document.Value(s, "name", "", parseRuleName)
	switch line, taken := p.ruleLines[name]; {
	case !s.Has("name") && !s.Broken():
		s.Refuse("name", "is missing: give the rule a name, such as tomcat-leak; metrics and the audit file use it")
	case name == "":
	case taken:
		s.Refuse("name", fmt.Sprintf("the rule in line %d has the same name: choose another", line))
	default:
		p.ruleLines[name] = s.At("name")
	}
	return name
}

func parseRuleName(text string) (string, error) {
	if !ruleName.MatchString(text) {
		return "", fmt.Errorf("%q is no name for a rule: write at most 64 letters, digits, dots, dashes and underscores, a letter or digit first", text)
	}
	return text, nil
}

func (p *parser) match(s *document.Section) Match {
	m := Match{
		Exe:       document.Value(s, "exe", nil, parseOptional),
		Command:   document.Value(s, "command", nil, parseOptional),
		Unit:      document.Value(s, "unit", nil, parseOptional),
		User:      document.Value(s, "user", nil, parseOptional),
		Container: document.Value(s, "container", nil, parseOptional),
	}
	given, all := 0, !s.Broken()
	for _, key := range matchKeys {
		if s.Written(key) {
			given++
		}
		all = all && !s.Refused(key)
	}
	for _, e := range []*regexp.Regexp{m.Exe, m.Command, m.Unit, m.User, m.Container} {
		all = all && (e == nil || matchesAll(e))
	}
	switch {
	case given == 0 && !s.Broken():
		s.RefuseAll("is empty and would select every process of the host: give at least one of exe, command, unit, user, container")
	case given > 0 && all:
		s.WarnAll("selects every process of the host that has these properties")
	}
	p.warnExpressions(s, matchKeys)
	return m
}

func readIgnore(s *document.Section) Ignore {
	warnEveryAddress(s, "remote", "the rule counts no connection to or from one")
	return Ignore{Remote: document.List(s, "remote", parseEndpoint), LocalPort: document.List(s, "local_port", parsePort)}
}

// readWhen reads the values of all conditions from the sections of the rule and of `when`.
func readWhen(rule, when *document.Section) condition.When {
	var w condition.When
	for i := range condition.All {
		if c := &condition.All[i]; c.Key != "" {
			c.Read(sectionOf(c, rule, when), &w)
		}
	}
	return w
}

// sectionOf returns the section that has the key of a condition.
func sectionOf(c *condition.Condition, rule, when *document.Section) *document.Section {
	if c.OfRule {
		return rule
	}
	return when
}

// warnConditions lets each condition warn about its value in the context of the rule.
func warnConditions(rule *Rule, steps []parsedStep, s, when *document.Section, interval time.Duration) {
	ending, guarded := findEnding(steps)
	context := condition.Context{
		When: &rule.When, CanEnd: ending >= 0, Ends: ending >= 0 && !guarded, AcceptsRemoteTrigger: rule.AcceptRemoteTrigger,
		Interval: interval, NotGo: rule.Match.namesRuntime(),
	}
	for i := range condition.All {
		if c := &condition.All[i]; c.Warn != nil {
			c.Warn(sectionOf(c, s, when), context)
		}
	}
}
