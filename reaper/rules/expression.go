package rules

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// Expressions match the whole text. The dot matches every byte, newlines included: otherwise a
// process could evade a rule by a newline in its name.
const (
	anchorStart = `\A(?s:`
	anchorEnd   = `)\z`
)

func parseExpression(text string) (*regexp.Regexp, error) {
	if text == "" {
		return nil, errors.New("an empty expression matches nothing: write one, or remove it")
	}
	if _, err := regexp.Compile(text); err != nil {
		what := strings.TrimPrefix(err.Error(), "error parsing regexp: ")
		return nil, fmt.Errorf("%q is not a regular expression: %s: see https://github.com/google/re2/wiki/Syntax", text, what)
	}
	anchored, err := regexp.Compile(anchorStart + text + anchorEnd)
	if err != nil { // its size is near the limit, or \Q quotes the anchor too
		return nil, fmt.Errorf("%q cannot be anchored: end \\Q with \\E, or write a simpler expression", text)
	}
	return anchored, nil
}

// parseOptional reads an empty expression as a missing one.
func parseOptional(text string) (*regexp.Regexp, error) {
	if text == "" {
		return nil, nil
	}
	return parseExpression(text)
}

// expression returns the text that parseExpression has read.
func expression(anchored *regexp.Regexp) string {
	return strings.TrimSuffix(strings.TrimPrefix(anchored.String(), anchorStart), anchorEnd)
}

// matchesAll guesses whether an expression matches every text.
func matchesAll(e *regexp.Regexp) bool {
	for _, text := range []string{"a", "/", "Z9 -_.x", "\n"} {
		if !e.MatchString(text) {
			return false
		}
	}
	return true
}
