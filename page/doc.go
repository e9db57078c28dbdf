// Package page shows one look at the host to a person with a browser: which processes leak, what the
// reaper decided lately and why, and how well the exporter can see. It works without JavaScript and
// forbids it, and nothing on it can be acted upon: all its links read.
package page
