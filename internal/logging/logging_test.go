package logging

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/go-kit/log/level"
)

const timestamp = `\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z`

func TestBothLoggersWriteLinesOfTheSameShape(t *testing.T) {
	var out bytes.Buffer
	kit, structured, err := New(&out, "info", "logfmt")
	if err != nil {
		t.Fatal(err)
	}
	_ = level.Info(kit).Log("msg", "hello", "answer", 42)
	structured.Info("hello", "answer", 42)
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 2 {
		t.Fatalf("got %d lines, want 2:\n%s", len(lines), out.String())
	}
	shape := regexp.MustCompile(`^level=info ts=` + timestamp + ` caller=logging_test\.go:\d+ msg=hello answer=42$`)
	for _, line := range lines {
		if !shape.MatchString(line) {
			t.Errorf("line is %q, want %s", line, shape)
		}
	}
}

func TestLevelsBelowTheMinimumAreNotWritten(t *testing.T) {
	tests := map[string]string{"debug": "diwe", "info": "iwe", "warn": "we", "error": "e"}
	for minimum, want := range tests {
		t.Run(minimum, func(t *testing.T) {
			var out bytes.Buffer
			kit, structured, err := New(&out, minimum, "json")
			if err != nil {
				t.Fatal(err)
			}
			_ = level.Debug(kit).Log("msg", "d")
			_ = level.Info(kit).Log("msg", "i")
			_ = level.Warn(kit).Log("msg", "w")
			_ = level.Error(kit).Log("msg", "e")
			structured.Debug("d")
			structured.Info("i")
			structured.Warn("w")
			structured.Error("e")
			if got := messages(t, &out); got != want+want {
				t.Errorf("messages %q were written, want %q", got, want+want)
			}
		})
	}
}

// messages joins the msg of all JSON lines, and checks that each has its time under the name ts.
func messages(t *testing.T, out *bytes.Buffer) (all string) {
	t.Helper()
	for decoder := json.NewDecoder(out); decoder.More(); {
		line := map[string]string{}
		if err := decoder.Decode(&line); err != nil {
			t.Fatal(err)
		}
		if _, ok := line["time"]; ok || !regexp.MustCompile("^"+timestamp+"$").MatchString(line["ts"]) {
			t.Errorf("line %v has no ts, or also a time", line)
		}
		all += line["msg"]
	}
	return all
}

func TestUnknownValuesAreErrorsThatSayWhatIsKnown(t *testing.T) {
	tests := map[string]struct{ level, format, want string }{
		"level":  {"loud", "json", `unknown log level "loud": use one of ["debug" "info" "warn" "error"]`},
		"format": {"info", "xml", `unknown log format "xml": use one of ["logfmt" "json"]`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, _, err := New(&bytes.Buffer{}, test.level, test.format)
			if err == nil || err.Error() != test.want {
				t.Errorf("error is %v, want %s", err, test.want)
			}
		})
	}
}
