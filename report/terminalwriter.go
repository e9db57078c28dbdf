package report

import (
	"fmt"
	"io"
	"slices"
	"unicode/utf16"
	"unicode/utf8"
)

// NewTerminalWriter returns a writer for a terminal. It escapes what Text escapes, but for newlines
// and tabs. All output of the program passes through it, so that no text that a process, a peer or
// an argument contains can control the terminal, also where nothing has escaped it before. JSON
// stays valid JSON with the same content.
func NewTerminalWriter(w io.Writer) io.Writer { return &terminalWriter{to: w} }

type terminalWriter struct {
	to   io.Writer
	rest []byte // the beginning of a character whose end has not been written yet
}

// Write implements io.Writer. It is not safe for concurrent use.
func (w *terminalWriter) Write(p []byte) (int, error) {
	text := slices.Concat(w.rest, p)
	clean := make([]byte, 0, len(text))
	for len(text) > 0 && utf8.FullRune(text) {
		r, size := utf8.DecodeRune(text)
		switch {
		case r == utf8.RuneError && size == 1:
			clean = fmt.Appendf(clean, `\x%02x`, text[0])
		case r == '\n' || r == '\t' || harmless(r):
			clean = append(clean, text[:size]...)
		default:
			for _, unit := range utf16.AppendRune(nil, r) {
				clean = fmt.Appendf(clean, `\u%04x`, unit)
			}
		}
		text = text[size:]
	}
	w.rest = text
	if _, err := w.to.Write(clean); err != nil {
		return 0, err
	}
	return len(p), nil
}
