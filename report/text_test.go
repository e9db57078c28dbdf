package report

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestTextShowsWhatCannotBeSeen(t *testing.T) {
	tests := []struct{ name, raw, want string }{
		{"plain text stays", "tmux: server", "tmux: server"},
		{"letters of other scripts stay", "naïve-日本", "naïve-日本"},
		{"empty", "", `""`},
		{"a space at an end", "nginx ", `"nginx "`},
		{"an escape sequence", "\x1b[31mred", `\x1b[31mred`},
		{"a C1 control character", "\u009b31m", `\u009b31m`},
		{"lines", "a\r\nb\tc", `a\r\nb\tc`},
		{"a backslash is told apart from an escape", `\x1b`, `\\x1b`},
		{"bidi override", "\u202egpj.exe", `\u202egpj.exe`},
		{"right to left letters", "\u05d0", `\u05d0`},
		{"zero width", "a\u200bb\u00adc", `a\u200bb\u00adc`},
		{"stacked marks", "e\u0301", `e\u0301`},
		{"fillers", "\u3164\u2800", `\u3164\u2800`},
		{"other spaces", "\u00a0\u3000x", `"\u00a0\u3000x"`},
		{"tags", "\U000e0041", `\U000e0041`},
		{"a byte that is not UTF-8", "a\xffb", `a\xffb`},
		{"a rune that was cut", "half\xe2\x82", `half\xe2\x82`},
		{"a true replacement character stays", "\ufffd", "\ufffd"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := Text(test.raw); got != test.want {
				t.Errorf("Text(%q) = %q, want %q", test.raw, got, test.want)
			}
		})
	}
}

func FuzzText(f *testing.F) {
	f.Add("java")
	f.Add("\x1b]0;pwn\x07\u202e\xff")
	f.Fuzz(func(t *testing.T, raw string) {
		clean := Text(raw)
		if !utf8.ValidString(clean) || clean == "" {
			t.Errorf("Text(%q) = %q", raw, clean)
		}
		for _, r := range clean {
			if !harmless(r) {
				t.Errorf("Text(%q) lets %U through", raw, r)
			}
		}
	})
}

func TestCutNeverTakesMoreCellsThanThereAre(t *testing.T) {
	tests := []struct {
		raw   string
		cells int
		want  string
	}{
		{"java", 4, "java"},
		{"tomcat9", 4, "tom…"},
		{"日本語", 6, "日本語"},
		{"日本語", 5, "日本…"},
		{"日本語", 4, "日…"},
		{"ｗｉｄｅ", 3, "ｗ…"},
	}
	for _, test := range tests {
		if got := cut(test.raw, test.cells); got != test.want || cellsOf(got) > test.cells {
			t.Errorf("cut(%q, %d) = %q, want %q", test.raw, test.cells, got, test.want)
		}
	}
}

func TestLinesAreWrappedBetweenWords(t *testing.T) {
	tests := []struct {
		line  string
		width int
		want  []string
	}{
		{"", 10, []string{""}},
		{"as long as it gets", 0, []string{"as long as it gets"}},
		{"exactly 10", 10, []string{"exactly 10"}},
		{"one two three four", 9, []string{"one two", "  three", "  four"}},
		{"averyverylongword fits nowhere", 9, []string{"averyverylongword", "  fits", "  nowhere"}},
		{"日本 日本 日本", 9, []string{"日本 日本", "  日本"}},
	}
	for _, test := range tests {
		if got := wrap([]string{test.line}, test.width); !slices.Equal(got, test.want) {
			t.Errorf("wrap(%q, %d) = %q, want %q", test.line, test.width, got, test.want)
		}
	}
}

func TestTheTableFitsTheTerminal(t *testing.T) {
	const narrowest = 50
	for name, h := range map[string]*host{"leaking": leaking(), "hostile": hostile()} {
		report := h.report(0)
		for width := narrowest; width < 200; width++ {
			var out strings.Builder
			if err := report.Processes(&out, width); err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(out.String()) {
				if cells := cellsOf(strings.TrimSuffix(line, "\n")); cells > width {
					t.Fatalf("%s: a line takes %d of %d cells:\n%s", name, cells, width, &out)
				}
			}
		}
	}
}
