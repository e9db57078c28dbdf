package main

import (
	"fmt"
	"go/scanner"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// maxColumns is where comments and Markdown wrap. A tab counts as one column.
const maxColumns = 100

// privatePhrases are phrases that only this project used, and what to write in their place. They
// are searched for in comments, string literals and documents.
var privatePhrases = []struct{ pattern, instead string }{
	{`tells? whether`, "reports whether"},
	{`(is|are|was) (that|those) of`, "name the thing"},
	{`(that|those) of (the|a|an|it|all|its)`, "name the thing"},
	{`so many`, "number of, maximum number of, at least N"},
	{`anew`, "again"},
	{`nobody`, "no process, no user, no one"},
	{`what (came|comes|became|becomes) of`, "result"},
	{`(is|are|was) as if`, "say what it is"},
	{`at least so (long|old|many|much)`, "at least N"},
	{`so (long|much|often) at (most|least)`, "at most N"},
	{`defuncts`, "defunct sockets"},
	{`(look|looks|looked|looking) (at|into|twice|anew)`, "read, scan, check"},
	{`one that is`, "name the thing"},
	{`in spite of`, "despite, although"},
	{`goes on to`, "continues to"},
}

// allowedPhrases are correct uses: the user nobody, and fields of older formats in the changelog.
var allowedPhrases = regexp.MustCompile("[\"=]nobody[\"`]|user: nobody|// nobody is a user|`(scanner\\.engine|victims|deeds)`")

// privateWords are not used in identifiers, whole or as a part of them, nor in comments.
var privateWords = []struct {
	pattern, instead string
	comments         bool // also in comments; the others are ordinary words there
}{
	{"engines?", "scanner", true},
	{"victims?", "target", true},
	{"ladders?", "remediation, steps", true},
	{"rungs?", "step", true},
	{"tolls?", "SocketCounts", true},
	{"leash(es)?", "limiter", true},
	{"diary|diaries", "history", true},
	{"deeds?", "action", true},
	{"sieves?", "inodeFilter", true},
	{"remnants?", "deadSocketCandidate", true},
	{"hands", "executor", false},
	{"eyes?", "scanner", false},
	{"grips?", "ProcessHandle", false},
	{"sights?", "visibility", false},
	{"lacks?", "MissingCapability", false},
	{"mortals?|witness(es)?|raisers?|cutters?|grabbers?", "ProcessHandle, HolderFinder", false},
	{"patience|patiently", "timeout", false},
	{"unsettled", "Transient", false},
	{"sightings?", "SocketSample", false},
	{"inquiry|inquiries", "evaluation", false},
}

// TestLanguageHasNoPrivateWords keeps private words and phrases out of the code and the documents.
func TestLanguageHasNoPrivateWords(t *testing.T) {
	var phrases, comments, identifiers []rule
	for _, p := range privatePhrases {
		phrases = append(phrases, newRule(p.pattern, p.instead))
	}
	for _, w := range privateWords {
		identifiers = append(identifiers, newRule(w.pattern, w.instead))
		if w.comments {
			comments = append(comments, newRule(w.pattern, w.instead))
		}
	}
	inStrings, inIdentifiers := newRuleSet(phrases), newRuleSet(identifiers)
	inText := newRuleSet(slices.Concat(phrases, comments))
	forEachText(t, func(path, text string) {
		if filepath.Ext(path) != ".go" {
			inText.report(t, path, 1, text)
			return
		}
		forEachToken(t, path, text, func(line int, kind token.Token, literal string) {
			switch kind {
			case token.COMMENT:
				inText.report(t, path, line, literal)
			case token.STRING:
				inStrings.report(t, path, line, literal)
			case token.IDENT:
				inIdentifiers.report(t, path, line, words(literal))
			}
		})
	})
}

// TestLanguageWrapsAtAHundredColumns checks lines of Markdown, and lines that hold only a comment.
func TestLanguageWrapsAtAHundredColumns(t *testing.T) {
	forEachText(t, func(path, text string) {
		long := longLines(path, text)
		for _, number := range slices.Sorted(maps.Keys(long)) {
			t.Errorf("%s:%d: %d columns, wrap at %d", path, number, utf8.RuneCountInString(long[number]), maxColumns)
		}
	})
}

// words splits an identifier at changes of case, so that EnginePath has the words Engine and Path.
func words(identifier string) string {
	var out strings.Builder
	runes := []rune(identifier)
	for i, r := range runes {
		startsWord := i > 0 && unicode.IsUpper(r) &&
			(!unicode.IsUpper(runes[i-1]) || i+1 < len(runes) && unicode.IsLower(runes[i+1]))
		if startsWord || r == '_' {
			out.WriteByte(' ')
		}
		out.WriteRune(r)
	}
	return strings.ReplaceAll(out.String(), "_", " ")
}

// forEachText calls f with each file of the repository that people write and read.
func forEachText(t *testing.T, f func(path, text string)) {
	t.Helper()
	skipped := []string{".git", "bin", "dist", "testdata"}
	texts := []string{".go", ".md", ".yml", ".yaml", ".json", ".conf", ".service", ".c", ".h", ".1", ".sed", ""}
	generated := []string{"language_test.go", "go.sum", "LICENSE", "prometheusrule.yaml", "package-lock.json"}
	read := 0
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir():
			if slices.Contains(skipped, entry.Name()) {
				return filepath.SkipDir
			}
			return nil
		case !entry.Type().IsRegular() || entry.Name() == "closewait_exporter":
			return nil
		case !slices.Contains(texts, filepath.Ext(path)), slices.Contains(generated, entry.Name()):
			return nil
		}
		text, err := os.ReadFile(path)
		if err == nil && utf8.Valid(text) && !strings.ContainsRune(string(text), 0) {
			read++
			f(path, string(text))
		}
		return err
	})
	if err != nil || read < 100 {
		t.Errorf("%d files read, error %v", read, err)
	}
}

func forEachToken(t *testing.T, path, text string, f func(line int, kind token.Token, literal string)) {
	t.Helper()
	files := token.NewFileSet()
	file := files.AddFile(path, files.Base(), len(text))
	var s scanner.Scanner
	s.Init(file, []byte(text), func(at token.Position, message string) { t.Errorf("%s: %s", at, message) }, scanner.ScanComments)
	for {
		at, kind, literal := s.Scan()
		if kind == token.EOF {
			return
		}
		f(file.Line(at), kind, literal)
	}
}

var (
	commentLine = regexp.MustCompile(`^\s*(//|# |\* |/\*)`)
	// unbreakable lines are directives, tables, images, quotes of code in a comment, and lines with
	// a single word or link.
	unbreakable = regexp.MustCompile(`^\s*(//(go:|nolint|\t|    )|#!|\||!\[|(//|#|[-*]|\d+\.)?\s*\S+$)|https?://`)
)

// longLines returns the lines that could be wrapped and are longer than allowed, by number.
func longLines(path, text string) map[int]string {
	long := map[int]string{}
	markdown, fenced := filepath.Ext(path) == ".md", false
	if filepath.Ext(path) == ".json" {
		return nil
	}
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimRight(line, "\n")
		if markdown && strings.HasPrefix(strings.TrimSpace(line), "```") {
			fenced = !fenced
		}
		code := markdown && (fenced || strings.HasPrefix(line, "    "))
		if utf8.RuneCountInString(line) <= maxColumns || code || unbreakable.MatchString(line) {
			continue
		}
		if markdown || commentLine.MatchString(line) {
			long[number] = line
		}
	}
	return long
}

func TestWordsSplitsIdentifiers(t *testing.T) {
	for identifier, want := range map[string]string{
		"engine": "engine", "EngineEBPF": "Engine EBPF", "newHTTPServer": "new HTTP Server", "max_age": "max age",
	} {
		if got := fmt.Sprint(strings.Join(strings.Fields(words(identifier)), " ")); got != want {
			t.Errorf("%s: %q, want %q", identifier, got, want)
		}
	}
}

func TestRulesMatchWholeWords(t *testing.T) {
	rules := newRuleSet([]rule{newRule("tells? whether", ""), newRule("(is|are) (that|those) of", ""), newRule("anew", ""), newRule("nobody", "")})
	for text, want := range map[string]int{
		"it tells whether":                   1,
		"Tell whether, and tell\n// whether": 2,
		"foretells whether":                  0,
		"tells whethers":                     0,
		"this is that of it":                 1,
		"start anew.":                        1,
		"a_new anew_ xanew anew1 änew":       0,
		"user: nobody":                       0,
		"user: nobody, and nobody":           1,
		"are those of and anew":              2,
	} {
		if got := len(rules.find(text)); got != want {
			t.Errorf("%q: %d matches, want %d", text, got, want)
		}
	}
}
