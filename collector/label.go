package collector

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxLabel is how long a label value may be, in bytes. A container id (64 hex digits) just fits.
const maxLabel = 64

// cutMark begins a label value that has lost its start.
const cutMark = "…"

// label makes a label value of a name that the host or a process chose: valid UTF-8 with nothing in
// it that moves the cursor or turns the text around, and at most maxLabel bytes of its start.
func label(raw string) string {
	clean := strings.Map(visible, raw)
	if len(clean) <= maxLabel {
		return clean
	}
	end := maxLabel
	for !utf8.RuneStart(clean[end]) {
		end--
	}
	return clean[:end]
}

// pathLabel is label for a path, whose end tells more than its start.
func pathLabel(raw string) string {
	clean := strings.Map(visible, raw)
	if len(clean) <= maxLabel {
		return clean
	}
	start := len(clean) - (maxLabel - len(cutMark))
	for !utf8.RuneStart(clean[start]) {
		start++
	}
	return cutMark + clean[start:]
}

// visible replaces what must not reach a terminal or a dashboard with U+FFFD, so that it can be seen
// that something was there. strings.Map does the same to bytes that are not UTF-8: one invalid
// label value would cost the whole scrape.
func visible(r rune) rune {
	if unicode.In(r, unicode.Cc, unicode.Bidi_Control, unicode.Zl, unicode.Zp) {
		return utf8.RuneError
	}
	return r
}
