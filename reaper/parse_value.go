package reaper

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// day is what d means in a duration: Go's own units end with hours.
const day = 24 * time.Hour

// maxDuration leaves room for a cooldown to double without an overflow.
const maxDuration = 365 * day

var days = regexp.MustCompile(`^(\d{1,4})d(.*)$`)

// parseDuration reads what time.ParseDuration reads, after an optional number of days.
func parseDuration(text string) (time.Duration, error) {
	whole, rest := time.Duration(0), text
	if parts := days.FindStringSubmatch(text); parts != nil {
		n, _ := strconv.Atoi(parts[1]) // at most four digits
		whole, rest = time.Duration(n)*day, cmp.Or(parts[2], "0s")
	}
	d, err := time.ParseDuration(rest)
	switch {
	case strings.HasPrefix(text, "-") || d < 0:
		return 0, fmt.Errorf("%q is negative: remove the minus", text)
	case err != nil:
		return 0, fmt.Errorf("%q is not a duration: write numbers with units, such as 90s, 10m, 1h30m or 2d", text)
	case d > maxDuration-whole:
		return 0, fmt.Errorf("%q is longer than a year: write 365d or less", text)
	}
	return whole + d, nil
}

func parsePositive(text string) (time.Duration, error) {
	d, err := parseDuration(text)
	if err == nil && d == 0 {
		err = fmt.Errorf("%s is no time at all: write more, such as 10s", text)
	}
	return d, err
}

func parseCount(text string) (int, error) {
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		return 0, fmt.Errorf("%q is not a count: write a whole number, such as 2", text)
	}
	return int(n), nil
}

var percentage = regexp.MustCompile(`^(\d+(?:\.\d+)?)%$`)

// parseRatio reads a percentage that is more than nothing and not more than all.
func parseRatio(text string) (float64, error) {
	parts := percentage.FindStringSubmatch(text)
	if parts == nil {
		return 0, fmt.Errorf("%q is not a percentage: write a number and a percent sign, such as 25%%", text)
	}
	percent, err := strconv.ParseFloat(parts[1], 64)
	if err != nil || percent <= 0 || percent > 100 || percent/100 == 0 {
		return 0, fmt.Errorf("%s is out of range: write more than 0%% and at most 100%%", text)
	}
	return percent / 100, nil
}

func parseThreshold(text string) (Threshold, error) {
	if strings.HasSuffix(text, "%") {
		ratio, err := parseRatio(text)
		return Threshold{Ratio: ratio}, err
	}
	n, err := strconv.ParseUint(text, 10, 64)
	switch {
	case err != nil || n > math.MaxInt64:
		return Threshold{}, fmt.Errorf("%q is neither a number of descriptors nor a percentage of the limit: write such as 900 or 80%%", text)
	case n == 0:
		return Threshold{}, errors.New("0 is always reached: write such as 900 or 80%, or remove the key")
	}
	return Threshold{Count: n}, nil
}

func parsePort(text string) (uint16, error) {
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("%q is not a port: write a number from 1 to 65535", text)
	}
	return uint16(n), nil
}

// Expressions are matched against the whole text. The dot stands for every byte, newlines included,
// so that nobody gets away by having one in their name.
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

// expression is what parseExpression has read.
func expression(anchored *regexp.Regexp) string {
	return strings.TrimSuffix(strings.TrimPrefix(anchored.String(), anchorStart), anchorEnd)
}

func parseBool(text string) (bool, error) {
	switch text {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, fmt.Errorf("%q is neither true nor false: write one of the two", text)
}

// oneOf reads one of the texts of a closed set.
func oneOf[T fmt.Stringer](set ...T) func(string) (T, error) {
	return func(text string) (T, error) {
		names := make([]string, len(set))
		for i, v := range set {
			if names[i] = v.String(); names[i] == text {
				return v, nil
			}
		}
		var none T
		return none, fmt.Errorf("%q is not known: write %s", text, strings.Join(names, " or "))
	}
}
