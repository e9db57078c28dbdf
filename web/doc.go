// Package web is the HTTP side of the exporter: its paths, the limits that protect it, and its
// start and its shutdown. No request can cause an action on a process.
package web
