package app

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"

	"closewait_exporter/report"
)

// value is a kingpin.Value whose errors name the flag or the argument.
type value[T any] struct {
	name  string // with its dashes
	to    *T
	parse func(string) (T, error)
}

// Set implements kingpin.Value.
func (v value[T]) Set(text string) error {
	parsed, err := v.parse(text)
	if err != nil {
		return fmt.Errorf("%s: %w", v.name, err)
	}
	*v.to = parsed
	return nil
}

func (v value[T]) String() string { return fmt.Sprint(*v.to) }

// values is a kingpin.Value of a flag that can be repeated.
type values[T any] struct {
	flag  string
	to    *[]T
	parse func(string) (T, error)
}

// Set implements kingpin.Value.
func (v values[T]) Set(text string) error {
	var next T
	if err := (value[T]{"--" + v.flag, &next, v.parse}).Set(text); err != nil {
		return err
	}
	*v.to = append(*v.to, next)
	return nil
}

func (v values[T]) String() string { return fmt.Sprint(*v.to) }

// IsCumulative tells kingpin that the flag can be repeated.
func (v values[T]) IsCumulative() bool { return true }

// many adds a flag that can be repeated to a command.
func many[T any](cmd *kingpin.CmdClause, name, help, placeHolder string, target *[]T, parse func(string) (T, error)) {
	cmd.Flag(name, help).PlaceHolder(placeHolder).SetValue(values[T]{name, target, parse})
}

// define adds a flag to an application or a command.
func define[T any](to interface {
	Flag(name, help string) *kingpin.FlagClause
}, name, help, defaultValue string, target *T, parse func(string) (T, error)) {
	to.Flag(name, help).Default(defaultValue).SetValue(value[T]{"--" + name, target, parse})
}

func oneOf(values []string) func(string) (string, error) {
	return func(text string) (string, error) {
		if slices.Contains(values, text) {
			return text, nil
		}
		return "", fmt.Errorf("%q is unknown: use %s", text, anyOf(values))
	}
}

// anyOf lists values for people.
func anyOf(values []string) string {
	last := len(values) - 1
	return strings.Join(values[:last], ", ") + " or " + values[last]
}

func notEmpty(text string) (string, error) {
	if text == "" {
		return "", errors.New("is empty: give a value, or leave the flag out")
	}
	return text, nil
}

func atLeast(minimum int) func(string) (int, error) {
	return func(text string) (int, error) {
		n, err := strconv.Atoi(text)
		if err != nil || n < minimum {
			return 0, fmt.Errorf("%q is not a whole number of at least %d", text, minimum)
		}
		return n, nil
	}
}

func port(text string) (uint16, error) {
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("%q is not a port from 1 to 65535", text)
	}
	return uint16(n), nil
}

// sortKeys are the values of --sort.
func sortKeys() []string {
	var keys []string
	for _, o := range report.Orders {
		keys = append(keys, o.Key)
	}
	return keys
}

func order(key string) (*report.Order, error) {
	if _, err := oneOf(sortKeys())(key); err != nil {
		return nil, err
	}
	return report.OrderBy(key), nil
}

// watchInterval refuses intervals that would keep a CPU busy.
func watchInterval(text string) (time.Duration, error) {
	const shortest = 100 * time.Millisecond
	d, err := time.ParseDuration(text)
	if err != nil || d < shortest {
		return 0, fmt.Errorf("%q is not a duration of at least %s: use for example 2s", text, shortest)
	}
	return d, nil
}

// traceDuration refuses traces that would be forgotten.
func traceDuration(text string) (time.Duration, error) {
	const shortest, longest = time.Second, time.Hour
	d, err := time.ParseDuration(text)
	if err != nil || d < shortest || d > longest {
		return 0, fmt.Errorf("%q is not a duration from %s to %s: use for example 60s", text, shortest, longest)
	}
	return d, nil
}

func notNegativeDuration(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%q is not a duration of 0s or more: use for example 500ms, 1s or 1h30m", text)
	}
	return d, nil
}

func ascending(text string) ([]float64, error) {
	var bounds []float64
	for field := range strings.SplitSeq(text, ",") {
		bound, err := strconv.ParseFloat(strings.TrimSpace(field), 64)
		if err != nil || !(bound > 0) || math.IsInf(bound, 0) {
			return nil, fmt.Errorf("%q is not a number of seconds above 0: use for example 1,60,3600", field)
		}
		if last := len(bounds) - 1; last >= 0 && bound <= bounds[last] {
			return nil, fmt.Errorf("%v is not ascending: %v comes after %v", text, bound, bounds[last])
		}
		bounds = append(bounds, bound)
	}
	return bounds, nil
}
