// Package reaper decides which leaking processes something is to be done about, what, and when, and
// does it step by step: the mildest remedy first. It knows Views and rules, and nothing of Linux:
// its Hands are given to it.
package reaper
