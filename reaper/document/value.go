package document

import (
	"cmp"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// day is the unit d of a duration: Go's own units end with hours.
const day = 24 * time.Hour

// maxDuration leaves room for a cooldown to double without an overflow.
const maxDuration = 365 * day

var days = regexp.MustCompile(`^(\d{1,4})d(.*)$`)

// ParseDuration reads what time.ParseDuration reads, after an optional number of days.
func ParseDuration(text string) (time.Duration, error) {
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

// ParsePositive reads a duration longer than 0.
func ParsePositive(text string) (time.Duration, error) {
	d, err := ParseDuration(text)
	if err == nil && d == 0 {
		err = fmt.Errorf("%s is no time at all: write more, such as 10s", text)
	}
	return d, err
}

// ParseCount reads a whole number.
func ParseCount(text string) (int, error) {
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		return 0, fmt.Errorf("%q is not a count: write a whole number, such as 2", text)
	}
	return int(n), nil
}

var percentage = regexp.MustCompile(`^(\d+(?:\.\d+)?)%$`)

// ParseRatio reads a percentage above 0% and up to 100%, and returns it as 0 to 1.
func ParseRatio(text string) (float64, error) {
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

// Percent is the inverse of ParseRatio. It rounds to hide the error of binary fractions.
func Percent(ratio float64) string { return strconv.FormatFloat(ratio*100, 'g', 10, 64) + "%" }

// ParseBool reads true or false.
func ParseBool(text string) (bool, error) {
	switch text {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, fmt.Errorf("%q is neither true nor false: write one of the two", text)
}

// OneOf returns a function that reads one of the texts of a closed set.
func OneOf[T fmt.Stringer](set ...T) func(string) (T, error) {
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
