// Package page shows a View to a person with a browser: which processes leak, what the reaper
// decided recently and why, and which parts of the host could not be read. The page works without
// JavaScript and forbids it. Nothing on it acts: all its links only read.
package page
