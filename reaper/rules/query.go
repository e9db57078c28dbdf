package rules

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Query is a PromQL expression in which $rule and $group stand for the rule that would act and for
// the group of the process. Both stand inside quotes, compared with = or !=.
type Query string

const (
	rulePlaceholder  = "$rule"
	groupPlaceholder = "$group"
)

// ParseQuery reads a Query. It is no parser of PromQL: the server reports errors of the expression.
// A process can choose its group, so a placeholder that could become more than one text is refused.
func ParseQuery(text string) (Query, error) {
	if strings.TrimSpace(text) == "" {
		return "", errors.New("is empty: write a PromQL expression")
	}
	outside := "" // the text outside quotes since the last closing quote
	for rest := text; rest != ""; {
		switch c := rest[0]; c {
		case '"', '\'', '`':
			inside, after, closed := cutQuoted(rest[1:], c)
			if !closed {
				return "", fmt.Errorf("a %c is not closed: close it", c)
			}
			if hasPlaceholder(inside) {
				if err := checkPlaceholder(c, strings.TrimSpace(outside)); err != nil {
					return "", err
				}
			}
			outside, rest = "", after
		case '#':
			_, rest, _ = strings.Cut(rest, "\n")
		default:
			outside, rest = outside+rest[:1], rest[1:]
			if hasPlaceholder(outside) {
				return "", fmt.Errorf(`%s and %s must stand inside quotes, such as rule="$rule"`, rulePlaceholder, groupPlaceholder)
			}
		}
	}
	return Query(text), nil
}

func hasPlaceholder(text string) bool {
	return strings.Contains(text, rulePlaceholder) || strings.Contains(text, groupPlaceholder)
}

// cutQuoted returns the text up to a closing quote, and the text after it.
func cutQuoted(text string, quote byte) (inside, after string, closed bool) {
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '\\' && quote != '`':
			i++
		case text[i] == quote:
			return text[:i], text[i+1:], true
		}
	}
	return "", "", false
}

func checkPlaceholder(quote byte, before string) error {
	switch {
	case quote == '`':
		return errors.New("a placeholder inside ` cannot be escaped: write \" instead")
	case strings.HasSuffix(before, "=~") || strings.HasSuffix(before, "!~"):
		return errors.New("a placeholder in a regular expression could match other names too: compare it with = or !=")
	}
	return nil
}

// For returns the expression for a rule and a group.
func (q Query) For(rule, group string) string {
	return strings.NewReplacer(rulePlaceholder, escapePromQL(rule), groupPlaceholder, escapePromQL(group)).Replace(string(q))
}

// escapePromQL returns text as it is written inside single or double quotes: all but letters,
// digits and harmless signs as an escape sequence that is valid in both.
func escapePromQL(text string) string {
	var escaped strings.Builder
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&escaped, `\x%02x`, text[i])
		case r >= utf8.RuneSelf:
			fmt.Fprintf(&escaped, `\U%08x`, r)
		case isWordByte(text[i]):
			escaped.WriteByte(text[i])
		default:
			fmt.Fprintf(&escaped, `\x%02x`, r)
		}
		i += size
	}
	return escaped.String()
}

func isWordByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("_-.:/@", c) >= 0
}
