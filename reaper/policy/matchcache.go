package policy

import (
	"regexp"

	"closewait_exporter/reaper/rules"
)

// cacheSize is the maximum number of results kept per expression. A host has fewer programs, units
// and users.
const cacheSize = 4096

// matchCache keeps the results of expressions. Matching costs microseconds, and in every round each
// process is matched again to find out whose arguments have to be read; see BenchmarkMatchCache. A
// nil cache keeps nothing. It belongs to a State and is not safe for concurrent use.
type matchCache struct {
	results map[*regexp.Regexp]map[string]bool
}

func newMatchCache() *matchCache { return &matchCache{results: map[*regexp.Regexp]map[string]bool{}} }

// fits is rules.Fits.
func (c *matchCache) fits(e *regexp.Regexp, text string) bool {
	if c == nil || e == nil || text == "" {
		return rules.Fits(e, text)
	}
	results := c.results[e]
	result, known := results[text]
	if !known {
		if results == nil || len(results) == cacheSize {
			results = map[string]bool{}
			c.results[e] = results
		}
		result = rules.Fits(e, text)
		results[text] = result
	}
	return result
}
