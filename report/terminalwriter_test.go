package report

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestNothingThatIsWrittenControlsTheTerminal(t *testing.T) {
	for raw, want := range map[string]string{
		"plain text, \ttabs\n":             "plain text, \ttabs\n",
		"\x1b[2J\x07\r":                    `\u001b[2J\u0007\u000d`,
		"a\u202eb\u009bc":                  `a\u202eb\u009bc`,
		"\xff\x9b":                         `\xff\x9b`,
		"\U000e0001":                       `\udb40\udc01`,
		`C:\dir "ä" 世界 …`:                  `C:\dir "ä" 世界 …`,
		"cut \xe4\xb8" + "\x1b":            `cut \xe4\xb8\u001b`,
		"\u05d0, and \u0301 which is wide": `\u05d0, and \u0301 which is wide`,
	} {
		for pieces := 1; pieces <= 3; pieces++ {
			var out strings.Builder
			w := NewTerminalWriter(&out)
			for rest := raw; rest != ""; {
				n := min(pieces, len(rest))
				if written, err := w.Write([]byte(rest[:n])); written != n || err != nil {
					t.Fatal(written, err)
				}
				rest = rest[n:]
			}
			if out.String() != want {
				t.Errorf("%q in pieces of %d is %q, want %q", raw, pieces, out.String(), want)
			}
		}
	}
}

func FuzzTerminalWriterKeepsJSON(f *testing.F) {
	f.Add("\x1b\u202e\U000e0001\x85 é")
	f.Fuzz(func(t *testing.T, name string) {
		if !utf8.ValidString(name) {
			t.Skip("JSON has valid strings only")
		}
		var out strings.Builder
		if err := json.NewEncoder(NewTerminalWriter(&out)).Encode(name); err != nil {
			t.Fatal(err)
		}
		var decoded string
		if err := json.Unmarshal([]byte(out.String()), &decoded); err != nil || decoded != name {
			t.Errorf("%q is written as %q: %v", name, out.String(), err)
		}
		for _, r := range strings.TrimSuffix(out.String(), "\n") {
			if !harmless(r) {
				t.Errorf("%q has %q", out.String(), r)
			}
		}
	})
}

func TestALineKeepsItsExpressions(t *testing.T) {
	if got, want := Line("exe \"/tmp/x\x1b\n\" does not match ^(?:.*\\.so)$"), `exe "/tmp/x\x1b\n" does not match ^(?:.*\.so)$`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
