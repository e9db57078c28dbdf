package main

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// rule is a pattern and what to write in its place.
type rule struct {
	firstWord *regexp.Regexp // matches the first word of each phrase that the pattern matches
	pattern   *regexp.Regexp // matches at the start of a text
	instead   string
}

func newRule(pattern, instead string) rule {
	first, _, _ := strings.Cut(pattern, " ")
	pattern = strings.ReplaceAll(pattern, " ", `[\s/#*]+`) // a phrase may wrap within a comment
	return rule{regexp.MustCompile(`(?i)^(` + first + `)$`), regexp.MustCompile(`(?i)^(` + pattern + `)\b`), instead}
}

// ruleSet finds the places where rules match. It searches for the first word of a rule in a map,
// because matching all rules against all text takes a minute and a half with the race detector.
type ruleSet struct {
	rules   []rule
	byFirst map[string][]rule // the rules whose first word it is, by all words seen so far
}

func newRuleSet(rules []rule) *ruleSet { return &ruleSet{rules, map[string][]rule{}} }

// startingWith returns the rules that can match where a word starts.
func (s *ruleSet) startingWith(word string) []rule {
	rules, known := s.byFirst[word]
	if !known {
		rules = slices.DeleteFunc(slices.Clone(s.rules), func(r rule) bool { return !r.firstWord.MatchString(word) })
		s.byFirst[word] = rules
	}
	return rules
}

func (s *ruleSet) report(t *testing.T, path string, line int, text string) {
	t.Helper()
	for _, found := range s.find(text) {
		at := line + strings.Count(text[:found.start], "\n")
		t.Errorf("%s:%d: %q: write %s", path, at, text[found.start:found.end], found.instead)
	}
}

// match is where a rule matches a text.
type match struct {
	start, end int
	instead    string
}

// find returns the matches of all rules in a text, but for allowed phrases.
func (s *ruleSet) find(text string) []match {
	var matches []match
	for end := 0; end < len(text); end++ {
		start := end
		for end < len(text) && inWord(text[end]) {
			end++
		}
		if start == end {
			continue
		}
		for _, r := range s.startingWith(text[start:end]) {
			if found := r.pattern.FindStringIndex(text[start:]); found != nil {
				matches = append(matches, match{start, start + found[1], r.instead})
			}
		}
	}
	if len(matches) == 0 {
		return nil
	}
	allowed := allowedPhrases.FindAllStringIndex(text, -1)
	return slices.DeleteFunc(matches, func(m match) bool {
		return slices.ContainsFunc(allowed, func(a []int) bool { return a[0] <= m.start && m.end <= a[1] })
	})
}

// inWord reports whether a byte belongs to a word, as \b of a regular expression has it.
func inWord(c byte) bool {
	return c == '_' || '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
}
