package reaper

import (
	"regexp"
	"sync"
)

// memoSize bounds how many answers of one expression are remembered. A host has fewer programs,
// units and users.
const memoSize = 4096

// memo remembers what an expression said of a text. Matching costs microseconds, and to find out
// whose arguments have to be read, the same is asked of every process in every round; see
// BenchmarkMatches. A nil memo remembers nothing.
type memo struct {
	mu      sync.Mutex
	answers map[*regexp.Regexp]map[string]bool
}

func newMemo() *memo { return &memo{answers: map[*regexp.Regexp]map[string]bool{}} }

// fits tells whether text is what an expression asks for. What is not given fits everything, and
// what is not known fits nothing.
func (m *memo) fits(e *regexp.Regexp, text string) bool {
	switch {
	case e == nil:
		return true
	case text == "":
		return false
	case m == nil:
		return e.MatchString(text)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	answer, known := m.answers[e][text]
	if !known {
		if answers := m.answers[e]; answers == nil || len(answers) == memoSize {
			m.answers[e] = map[string]bool{}
		}
		answer = e.MatchString(text)
		m.answers[e][text] = answer
	}
	return answer
}
