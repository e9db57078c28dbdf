// Package rules reads the rules file: which processes a rule matches, under which conditions it
// acts and by which steps. A Config is a plain value that is never changed after it was read.
package rules
