// Package document reads a YAML file strictly: an unknown key, a key given twice and a value of the
// wrong form are each reported with line, reason and remedy, and reading continues, to find the
// rest.
package document
