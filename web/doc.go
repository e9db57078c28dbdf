// Package web is the HTTP side of the exporter: its paths, the limits that protect it, and how it
// begins and ends to listen. Nothing that is asked over HTTP can act on a process.
package web
