package app

import (
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"closewait_exporter/check"
)

func TestTheDocumentOfCheckHasItsFlagsAndDefaults(t *testing.T) {
	text, err := os.ReadFile("../../docs/CHECK.md")
	if err != nil {
		t.Fatal(err)
	}
	var help strings.Builder
	if status := Run(t.Context(), []string{"check", "--help"}, nil, &help, io.Discard); status != int(check.Unknown) {
		t.Errorf("--help exits with %d", status)
	}
	flags := regexp.MustCompile(`--((?:warning|critical|timeout)[a-z-]*)=(\S+)`).FindAllStringSubmatch(help.String(), -1)
	if len(flags) != 9 {
		t.Fatalf("%d flags in\n%s", len(flags), &help)
	}
	for _, flag := range flags {
		if cells := "`--" + flag[1] + "` | `" + flag[2] + "` |"; !strings.Contains(string(text), cells) {
			t.Errorf("docs/CHECK.md does not have %s", cells)
		}
	}
}

func TestTheExamplesOfCheckAreValid(t *testing.T) {
	text, err := os.ReadFile("../../docs/CHECK.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := regexp.MustCompile(`(?m)^(?:command|UserParameter).*/closewait_exporter (check[^>\n]*)`).FindAllStringSubmatch(string(text), -1)
	arguments := regexp.MustCompile(`(?m)^ +"(--[a-z-]+)" = `).FindAllStringSubmatch(string(text), -1)
	if len(examples) != 3 || len(arguments) != 6 {
		t.Fatalf("%d examples and %d arguments", len(examples), len(arguments))
	}
	icinga := []string{"check"}
	for _, argument := range arguments {
		icinga = append(icinga, argument[1], "~:10")
	}
	lines := [][]string{icinga}
	for _, example := range examples {
		lines = append(lines, strings.Fields(example[1]))
	}
	for _, args := range lines {
		if command, _, err := parse(args, io.Discard); err != nil || command != checkCommand {
			t.Errorf("%q is the command %q, error %v", args, command, err)
		}
	}
}

func TestTheCommandOfALineWithErrorsIsKnown(t *testing.T) {
	for line, want := range map[string]string{
		"check":                             checkCommand,
		"check --unknown":                   checkCommand,
		"--log.level=debug check":           checkCommand,
		"--nothing":                         helped,
		"":                                  helped,
		"list check":                        listCommand,
		"help check":                        "help",
		"check-config check":                configCommand,
		"--web.listen-address=:10052 serve": serveCommand,
	} {
		if got := commandOf(strings.Fields(line)); got != want {
			t.Errorf("%q has the command %q, want %q", line, got, want)
		}
	}
}

func TestEveryErrorOfCheckIsUnknown(t *testing.T) {
	for line, want := range map[string]string{
		"check --warning-age=10m":        `--warning-age: "10m" is not a range: use a number without unit`,
		"check --critical-fds=95%":       `--critical-fds: "95%" is not a range`,
		"check --warning-sockets=20:10":  `it ends before it starts`,
		"check --timeout=0":              `--timeout: "0" is not a duration above 0: use for example 10, 10s or 1m`,
		"check --no-such-flag":           `unknown long flag '--no-such-flag'`,
		"check extra":                    `unexpected extra`,
		"check --warning-age":            `expected argument for flag '--warning-age'`,
		"--collector.min-age=-1s check":  `--collector.min-age: "-1s" is not a duration`,
		"check --path.procfs=testdata":   `testdata is no proc file system`,
		"check --timeout=1ns":            `the scan was not complete after --timeout=1ns`,
		"check --reaper.enforce":         `unknown long flag '--reaper.enforce'`,
		"check --collector.scanner=lsof": `"lsof" is unknown`,
	} {
		var out, stderr strings.Builder
		status := Run(t.Context(), strings.Fields(line), nil, &out, &stderr)
		text := out.String()
		if status != int(check.Unknown) || !strings.HasPrefix(text, "CLOSEWAIT UNKNOWN - ") || !strings.Contains(text, want) || strings.Count(text, "\n") != 1 || stderr.Len() > 0 {
			t.Errorf("%s: exit status %d, %q and %q, want %q", line, status, text, &stderr, want)
		}
	}
	if status := Run(t.Context(), []string{"check"}, nil, fullDisk{}, io.Discard); status != int(check.Unknown) {
		t.Errorf("exit status %d where the result cannot be written", status)
	}
}

// fullDisk cannot be written.
type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, os.ErrClosed }

func TestTimeoutsAreSecondsOrDurations(t *testing.T) {
	for _, args := range []string{"-t 90", "-t90", "--timeout=1m30s", "--timeout 90s"} {
		_, o, err := parse(append([]string{"check"}, strings.Fields(args)...), io.Discard)
		if err != nil || o.check.timeout.Seconds() != 90 {
			t.Errorf("%s is %s, error %v", args, o.check.timeout, err)
		}
	}
}

// TestCheckFindsALeakOfThisProcess checks the states that only the thresholds can tell apart.
func TestCheckFindsALeakOfThisProcess(t *testing.T) {
	leak(t)
	own := []string{"--collector.min-age=0s", "--collector.network-namespaces=own", "--warning-age=~:", "--warning-fds=~:", "--critical-fds=~:"}
	for limits, want := range map[string]check.State{
		"--warning-sockets=0 --critical-sockets=~:": check.Warning,
		"--warning-sockets=~: --critical-sockets=0": check.Critical,
	} {
		var out strings.Builder
		status := Run(t.Context(), slices.Concat([]string{"check"}, own, strings.Fields(limits)), nil, &out, io.Discard)
		if status != int(want) || !strings.HasPrefix(out.String(), "CLOSEWAIT "+want.String()+" - ") {
			t.Errorf("%s: exit status %d, want %d:\n%s", limits, status, want, &out)
		}
	}
}
