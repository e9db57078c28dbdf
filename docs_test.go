package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestLinksInDocumentsLeadToFiles checks the relative links of all Markdown files.
func TestLinksInDocumentsLeadToFiles(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#\s]+)[^)]*\)`)
	found := 0
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && path == "bin":
			return filepath.SkipDir // what scripts have built and downloaded
		case filepath.Ext(path) != ".md":
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, match := range link.FindAllStringSubmatch(string(text), -1) {
			if strings.Contains(match[1], ":") {
				continue // another server
			}
			found++
			if _, err := os.Stat(filepath.Join(filepath.Dir(path), match[1])); err != nil {
				t.Errorf("%s links to %s, which does not exist", path, match[1])
			}
		}
		return nil
	})
	if err != nil || found == 0 {
		t.Errorf("%d links, error %v", found, err)
	}
}

// TestDocumentsSayWhatIsTrueOfEveryHost has statements that were wrong for some hosts, and what the
// documents have to say instead.
func TestDocumentsSayWhatIsTrueOfEveryHost(t *testing.T) {
	for _, test := range []struct{ file, wrong, right string }{
		// The remote addresses of a public server that leaks are many, and change.
		{"docs/METRICS.md", `(?i)few and constant`, `The number does not tell a leak from traffic: a public server that leaks has many`},
		// Programs set the time of keepalive themselves; two hours are the kernel's default.
		{"docs/RUNBOOK.md", `(?i)keepalive[^|]{0,40}after 2 hours`, `in a Go program after 60 to 75 seconds, in others when they say`},
		{"README.md", `/classic/alerts`, `choose Alerts`}, // a path that Debian's Prometheus has not
		{"README.md", `(?m)^sudo make run`, `git clone`},
	} {
		data, err := os.ReadFile(test.file)
		if err != nil {
			t.Fatal(err)
		}
		text := strings.Join(strings.Fields(string(data)), " ")
		if found := regexp.MustCompile(test.wrong).FindString(string(data)); found != "" {
			t.Errorf("%s says %q", test.file, found)
		}
		if !strings.Contains(text, test.right) {
			t.Errorf("%s does not say %q", test.file, test.right)
		}
	}
}

// testNames finds the names of tests in a document, and testFunctions their declarations.
var (
	testNames     = regexp.MustCompile("`((?:Test|Fuzz)[A-Z]\\w*)`")
	testFunctions = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)[A-Z]\w*)\(`)
)

// allTests returns the names of all tests of the module.
func allTests(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	err := filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, match := range testFunctions.FindAllStringSubmatch(string(text), -1) {
			names[match[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestTestsNamedInDocumentsExist(t *testing.T) {
	tests := allTests(t)
	for _, path := range []string{"SECURITY.md", "CONTRIBUTING.md", "docs/ARCHITECTURE.md", "docs/PERFORMANCE.md"} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range testNames.FindAllStringSubmatch(string(text), -1) {
			if !tests[match[1]] {
				t.Errorf("%s names %s, which does not exist", path, match[1])
			}
		}
	}
}

// TestEveryThreatHasATest checks the matrix of threats in SECURITY.md: each cell names a test, or
// says why there is none.
func TestEveryThreatHasATest(t *testing.T) {
	text, err := os.ReadFile("SECURITY.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "\n| | another user | a container | a remote client |\n")
	matrix, _, _ := strings.Cut(rest, "\n\n")
	rows := strings.Split(matrix, "\n")
	threats := []string{"hand over", "name", "exec", "freeze", "lock", "flood", "spend", "inject"}
	if !found || len(rows) != 1+len(threats) {
		t.Fatalf("%d rows, want a header and %d threats", len(rows), len(threats))
	}
	for i, row := range rows[1:] {
		cells := strings.Split(strings.Trim(row, "| "), " | ")
		if len(cells) != 4 || !strings.HasPrefix(cells[0], "**"+threats[i]+"** ") {
			t.Errorf("row %q, want the threat %s by 3 attackers", row, threats[i])
		}
		for _, cell := range cells[1:] {
			if !testNames.MatchString(cell) && !strings.HasPrefix(cell, "impossible: ") {
				t.Errorf("no test, and no reason why none is needed: %q", cell)
			}
		}
	}
}

// TestTheRunbookOfALeakBeginsWithDiagnose checks the entries of alerts about processes.
func TestTheRunbookOfALeakBeginsWithDiagnose(t *testing.T) {
	text, err := os.ReadFile("docs/RUNBOOK.md")
	if err != nil {
		t.Fatal(err)
	}
	entries := 0
	for _, section := range strings.Split(string(text), "\n## Closewait")[1:] {
		name, _, _ := strings.Cut(section, "\n")
		if strings.HasPrefix(name, "Reaper") || strings.HasPrefix(name, "Config") || slices.Contains([]string{"ExporterDown", "ScanFailing", "CoverageLow", "SeriesCut"}, name) {
			continue
		}
		entries++
		if !strings.Contains(section, "\n**Confirm.** `closewait_exporter diagnose ") {
			t.Errorf("Closewait%s: the first command is not closewait_exporter diagnose", name)
		}
	}
	if entries == 0 {
		t.Error("there is no entry about a process")
	}
}
