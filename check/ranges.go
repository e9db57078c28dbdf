package check

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
)

// Range is a threshold: the values for which a plugin alerts. Its format is [@][start:][end], as in
// the guidelines of the Monitoring Plugins project. Without @ it alerts outside of start and end,
// with @ inside, both including the ends. The zero Range alerts for no value.
type Range struct {
	text       string
	start, end float64
	inside     bool
}

// rangeFormat has the groups @, start with its colon, start and end.
var rangeFormat = regexp.MustCompile(`^(@?)((~|` + decimal + `)?:)?(` + decimal + `)?$`)

const decimal = `[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)`

// ParseRange reads a Range.
func ParseRange(text string) (Range, error) {
	groups := rangeFormat.FindStringSubmatch(text)
	if groups == nil || groups[3] == "" && groups[4] == "" {
		return Range{}, fmt.Errorf("%q is not a range: use a number without unit as in 10, 10:, ~:10, 10:20 or @10:20", text)
	}
	r := Range{text: text, inside: groups[1] == "@", end: math.Inf(1)}
	switch groups[3] {
	case "~":
		r.start = math.Inf(-1)
	case "":
	default:
		r.start, _ = strconv.ParseFloat(groups[3], 64) // out of range: infinite
	}
	if groups[4] != "" {
		r.end, _ = strconv.ParseFloat(groups[4], 64)
	}
	if r.start > r.end {
		return Range{}, fmt.Errorf("%q is not a range: it ends before it starts", text)
	}
	return r, nil
}

// alerts reports whether a value violates the threshold.
func (r Range) alerts(value float64) bool {
	within := r.start <= value && value <= r.end
	return r.text != "" && within == r.inside
}

// never reports whether no value violates the threshold.
func (r Range) never() bool {
	return r.text == "" || !r.inside && math.IsInf(r.start, -1) && math.IsInf(r.end, 1)
}

// String is the Range as it was given.
func (r Range) String() string { return r.text }

// violation describes where a value that alerts is: "above 10".
func (r Range) violation(value float64, unit string) string {
	number := func(bound float64) string { return strconv.FormatFloat(bound, 'f', -1, 64) + unit }
	switch {
	case value > r.end:
		return "above " + number(r.end)
	case value < r.start:
		return "below " + number(r.start)
	}
	return "within " + r.text
}
