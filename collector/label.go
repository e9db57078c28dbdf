package collector

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxLabel is the maximum length of a label value in bytes: the length of a container id, 64 hex
// digits.
const maxLabel = 64

// cutMark replaces the start of a label value that was too long.
const cutMark = "…"

// label turns an untrusted name into a label value: valid UTF-8 without characters that move the
// cursor or reverse the text, and at most the first maxLabel bytes.
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

// pathLabel is label for a path. It keeps the end, which says more than the start.
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

// visible replaces characters that must not reach a terminal or a dashboard with U+FFFD.
// strings.Map does the same with invalid UTF-8: one invalid label value would fail the whole
// scrape.
func visible(r rune) rune {
	if unicode.In(r, unicode.Cc, unicode.Bidi_Control, unicode.Zl, unicode.Zp) {
		return utf8.RuneError
	}
	return r
}
