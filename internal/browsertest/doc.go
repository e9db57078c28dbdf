// Package browsertest opens pages in a real, headless Chromium, and evaluates expressions in them.
package browsertest
