package report

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Text makes a string that a process or a peer has chosen safe for a terminal. Characters that
// move the cursor, take no space or reverse the line become Go escapes. Names that are empty or
// begin or end with a space are quoted.
func Text(raw string) string {
	if strings.TrimSpace(raw) != raw || raw == "" {
		return `"` + escape(raw) + `"`
	}
	return escape(raw)
}

// Line makes a line that contains such strings safe for a terminal. Backslashes remain as they are,
// since the line can contain expressions and quoted values.
func Line(raw string) string {
	return escapeUnless(raw, func(r rune) bool { return r == '\\' || harmless(r) })
}

func escape(raw string) string {
	return escapeUnless(raw, func(r rune) bool { return r != '\\' && harmless(r) })
}

func escapeUnless(raw string, safe func(rune) bool) string {
	var clean strings.Builder
	for rest := raw; rest != ""; {
		r, size := utf8.DecodeRuneInString(rest)
		switch {
		case r == utf8.RuneError && size == 1:
			clean.WriteString(`\x` + strconv.FormatUint(uint64(rest[0]), 16)) // not UTF-8, so at least 0x80
		case !safe(r):
			quoted := strconv.QuoteRuneToASCII(r)
			clean.WriteString(quoted[1 : len(quoted)-1])
		default:
			clean.WriteRune(r)
		}
		rest = rest[size:]
	}
	return clean.String()
}

// harmless reports whether a rune is shown as one character at its own place.
func harmless(r rune) bool {
	return strconv.IsPrint(r) && !unicode.Is(unicode.M, r) && !invisible(r) && !rightToLeft(r)
}

// invisible letters and symbols: fillers and the empty braille pattern.
func invisible(r rune) bool {
	const emptyBraille = 0x2800
	return r == emptyBraille || unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r)
}

// rightToLeft letters reverse the columns next to them without any control character. The blocks
// are from DerivedBidiClass.txt.
func rightToLeft(r rune) bool {
	return r >= 0x0590 && r <= 0x08ff || r >= 0xfb1d && r <= 0xfdff || r >= 0xfe70 && r <= 0xfeff ||
		r >= 0x10800 && r <= 0x10fff || r >= 0x1e800 && r <= 0x1efff
}

// cellsOf is the number of terminal cells of a text.
func cellsOf(s string) int {
	cells := 0
	for _, r := range s {
		cells += cellsOfRune(r)
	}
	return cells
}

func cellsOfRune(r rune) int {
	fullWidth := r >= 0xff01 && r <= 0xff60
	pictograph := r >= 0x1f300 && r <= 0x1faff
	if fullWidth || pictograph || unicode.In(r, unicode.Han, unicode.Hangul, unicode.Hiragana, unicode.Katakana) {
		return 2
	}
	return 1
}

// cut shortens a text to at most the given number of cells and marks the end of a shortened text.
func cut(s string, cells int) string {
	const mark = "…"
	if cellsOf(s) <= cells {
		return s
	}
	used := cellsOf(mark)
	for i, r := range s {
		if used += cellsOfRune(r); used > cells {
			return s[:i] + mark
		}
	}
	return s
}

// cutBeginning shortens a text as cut does, but keeps its end.
func cutBeginning(s string, cells int) string {
	const mark = "…"
	if cellsOf(s) <= cells {
		return s
	}
	for i := range s {
		if rest := s[i:]; cellsOf(mark)+cellsOf(rest) <= cells {
			return mark + rest
		}
	}
	return mark
}

// wrap breaks lines between words so that they have at most width cells (0 = no limit). The rest of
// a line is indented.
func wrap(lines []string, width int) []string {
	var wrapped []string
	for _, line := range lines {
		wrapped = append(wrapped, fill("", "  ", line, width)...)
	}
	return wrapped
}

// fill puts the words of a text behind a title, in lines of at most width cells (0 = no limit).
// Lines after the first begin with the indent.
func fill(title, indent, text string, width int) (lines []string) {
	line, empty := title, true
	for word := range strings.FieldsSeq(text) {
		switch {
		case empty:
			line += word
		case width <= 0 || cellsOf(line)+1+cellsOf(word) <= width:
			line += " " + word
		default:
			lines = append(lines, line)
			line = indent + word
		}
		empty = false
	}
	return append(lines, strings.TrimRight(line, " "))
}
