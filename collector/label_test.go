package collector

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestLabelValuesAreHarmless(t *testing.T) {
	for name, test := range map[string]struct{ raw, want string }{
		"an ordinary name stays":                  {"java", "java"},
		"nothing stays nothing":                   {"", ""},
		"quotes and backslashes are for encoders": {`a"b\c`, `a"b\c`},
		"other scripts stay":                      {"größe 日本 🐘", "größe 日本 🐘"},
		"control characters are replaced":         {"a\x00b\nc\td\x1b[31m\x7f\u0085", "a\ufffdb\ufffdc\ufffdd\ufffd[31m\ufffd\ufffd"},
		"bidi controls are replaced": {
			"a\u202ab\u202eb\u2066c\u2069d\u200ee\u200ff\u061cg", "a\ufffdb\ufffdb\ufffdc\ufffdd\ufffde\ufffdf\ufffdg",
		},
		"line and paragraph separators are replaced": {"a\u2028b\u2029", "a\ufffdb\ufffd"},
		"each byte that is not UTF-8 is replaced":    {"a\xffb\xe2\x82", "a\ufffdb\ufffd\ufffd"},
		"a real U+FFFD stays":                        {"\ufffd", "\ufffd"},
		"64 bytes fit":                               {strings.Repeat("0", 64), strings.Repeat("0", 64)},
		"the end of a long name is cut":              {strings.Repeat("0", 64) + "1", strings.Repeat("0", 64)},
		"no rune is cut in two":                      {"a" + strings.Repeat("é", 40), "a" + strings.Repeat("é", 31)},
		"bytes count after replacement":              {strings.Repeat("\xff", 40), strings.Repeat("\ufffd", 21)},
	} {
		t.Run(name, func(t *testing.T) {
			if got := label(test.raw); got != test.want {
				t.Errorf("label(%q) = %q, want %q", test.raw, got, test.want)
			}
		})
	}
}

func TestALongPathKeepsItsEnd(t *testing.T) {
	for name, test := range map[string]struct{ raw, want string }{
		"a short path stays":         {"/usr/bin/java", "/usr/bin/java"},
		"64 bytes fit":               {"/" + strings.Repeat("a", 63), "/" + strings.Repeat("a", 63)},
		"the start of a long is cut": {"/" + strings.Repeat("a", 64) + "/java", "…" + strings.Repeat("a", 56) + "/java"},
		"no rune is cut in two":      {"/" + strings.Repeat("é", 40), "…" + strings.Repeat("é", 30)},
		"a path is sanitised too":    {"/a\n\xff", "/a\ufffd\ufffd"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := pathLabel(test.raw); got != test.want {
				t.Errorf("pathLabel(%q) = %q, want %q", test.raw, got, test.want)
			}
		})
	}
}

func FuzzLabel(f *testing.F) {
	for _, seed := range []string{"java", "a\xff\n", "\u202e" + strings.Repeat("é", 40), strings.Repeat("\xe2\x80", 70)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		for name, sanitise := range map[string]func(string) string{"label": label, "pathLabel": pathLabel} {
			got := sanitise(raw)
			if len(got) > maxLabel || !utf8.ValidString(got) {
				t.Errorf("%s(%q) = %q: too long or not UTF-8", name, raw, got)
			}
			for _, r := range got {
				if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029' {
					t.Errorf("%s(%q) = %q has %U", name, raw, got, r)
				}
			}
			if again := sanitise(got); again != got {
				t.Errorf("%s(%q) = %q, and of that %q", name, raw, got, again)
			}
		}
	})
}
