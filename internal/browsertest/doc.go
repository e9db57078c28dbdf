// Package browsertest shows pages in a real Chromium without a window, and tells what became of them.
package browsertest
