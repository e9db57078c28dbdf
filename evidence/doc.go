// Package evidence keeps files of evidence in a directory. A file is there as a whole or not at
// all, only its owner can read it, and their number, size and age are bounded. What is in them is
// not known here.
package evidence
