package rules

import (
	"fmt"
	"regexp"
	"strings"

	"closewait_exporter/reaper/document"
)

// comparison is what the expressions of a key are compared with.
type comparison struct {
	like  *regexp.Regexp // every text that a host can have there, and perhaps some others
	what  string         // such as "no program", for a message
	why   string         // how such a text looks
	guess func(text string) string
}

// The names that closewait.Process.Nested can begin with: only they are given by the host.
const nestedPrefix = `(?:user@[^/]+\.service|(?:lxc|machine|container|pod):[^/]+)`

var (
	anyText    = regexp.MustCompile(anchorStart + `.+` + anchorEnd)
	exeLike    = regexp.MustCompile(anchorStart + `(?:/[^/]+)+` + anchorEnd)
	unitLike   = regexp.MustCompile(anchorStart + `[^/]+\.service` + anchorEnd)
	nestedUnit = regexp.MustCompile(anchorStart + `[^/]+\.service|` + nestedPrefix + `/.+\.service` + anchorEnd)
	// 12 digits, or what runtimes write: see kernel/procfs/containerid.go.
	containerLike = regexp.MustCompile(anchorStart + containerIDs + anchorEnd)
	nestedLike    = regexp.MustCompile(anchorStart + containerIDs + `|` + nestedPrefix + `(?:/.+)?` + anchorEnd)
	groupLike     = regexp.MustCompile(anchorStart + groupNames + anchorEnd)
	nestedGroup   = regexp.MustCompile(anchorStart + groupNames + `|` + nestedPrefix + `(?:/.+)?` + anchorEnd)
)

// groupNames are what closewait.Process.Group returns where the host has chosen the whole of it.
const groupNames = `[^/]+\.service|pod:[^/]+|container:[0-9a-z-]{12}`

const containerIDs = `[0-9a-f]{12}|[0-9a-f]{64}|[0-9a-f]{32}-[0-9]{1,10}|[0-9a-z]{25}|[0-9a-f]{8}-[0-9a-f]{3}(?:[0-9a-f](?:-[0-9a-f]{4}){3}(?:[0-9a-f]{8})?)?`

// comparisonOf returns what an expression is compared with, of any of the sections match and
// protect.
func comparisonOf(key string, e *regexp.Regexp) comparison {
	switch key {
	case "exe":
		return comparison{exeLike, "no program", "the whole path is compared, from its first slash to the name of the file", guessExe}
	case "unit":
		c := comparison{unitLike, "no unit", "the whole name of a service is compared, which ends with .service and is no path", guessUnit}
		if hasSlash(e) { // see FitsUnit
			c.like = nestedUnit
		}
		return c
	case "container":
		c := comparison{containerLike, "no container", "the id is compared, 12 or all of its hex digits, and not the name", guessContainer}
		if hasSlash(e) {
			c.like = nestedLike
		}
		return c
	case "group":
		c := comparison{groupLike, "no group", "the whole group is compared, such as web.service, pod:UID or container:0123456789ab, and no name that a process has given itself", guessGroup}
		if hasSlash(e) {
			c.like = nestedGroup
		}
		return c
	}
	return comparison{anyText, "nothing", "check its anchors: what stands before ^ or behind $ must be empty", nil}
}

func guessExe(text string) string { return ".*/" + text }

// otherUnit is the end of the name of a unit that is no service.
var otherUnit = regexp.MustCompile(`\\?\.(?:service|socket|timer|scope|slice|target|path|mount)$`)

func guessUnit(text string) string {
	text = text[strings.LastIndexByte(text, '/')+1:]
	return otherUnit.ReplaceAllString(text, "") + `\.service`
}

func guessContainer(text string) string { return text + "(/.*)?" } // lxc:101

func guessGroup(text string) string {
	if strings.HasPrefix(text, "lxc:") || strings.HasPrefix(text, "machine:") {
		return guessContainer(text)
	}
	return guessUnit(text)
}

// warnExpressions warns about expressions that mean something else than they seem to.
func (p *parser) warnExpressions(s *document.Section, keys []string) {
	for _, key := range keys {
		for _, t := range s.Texts(key) {
			if e, err := parseExpression(t.Text); err == nil {
				if text := expressionWarning(key, t.Text, e); text != "" {
					s.WarnAt(t.Line, key, text)
				}
			}
		}
	}
	p.noteUsers(s)
}

var (
	// starOfOne matches a star behind a letter, a digit or a sign that stands for itself.
	starOfOne = regexp.MustCompile(`(?:^|[^\\])([\w/@:-])\*`)
	oneWord   = regexp.MustCompile(`^[\w.-]+$`)
)

// expressionWarning returns a warning about an expression; empty if it seems to be meant so.
func expressionWarning(key, text string, e *regexp.Regexp) string {
	c := comparisonOf(key, e)
	switch star := starOfOne.FindStringSubmatch(text); {
	case strings.TrimSpace(text) != text:
		return fmt.Sprintf("%q begins or ends with a space, which is compared too: remove it", text)
	case star != nil:
		return fmt.Sprintf("%s* in %q means any number of %q: write .* for any text", star[1], text, star[1])
	case !overlap(e, c.like):
		return fmt.Sprintf("%q matches %s: %s%s", text, c.what, c.why, c.advice(key, text))
	case key == "command" && oneWord.MatchString(text):
		return fmt.Sprintf("%q matches only this word without arguments: the whole command line is compared: write .*%s.*", text, text)
	}
	return ""
}

// advice is an expression to write instead, if one can be guessed.
func (c *comparison) advice(key, text string) string {
	if c.guess == nil {
		return ""
	}
	guess := c.guess(strings.TrimSuffix(strings.TrimPrefix(text, "^"), "$"))
	if e, err := parseExpression(guess); err == nil && overlap(e, comparisonOf(key, e).like) {
		return ": write " + guess
	}
	return ""
}

// runtimes are words in paths and arguments of programs that are not written in Go.
var runtimes = regexp.MustCompile(`(?i)java|jvm|catalina|tomcat|python|perl|ruby|node|php|dotnet|beam`)

// namesRuntime reports whether a Match asks for programs that are not written in Go.
func (m *Match) namesRuntime() bool {
	return m.Exe != nil && runtimes.MatchString(m.Exe.String()) || m.Command != nil && runtimes.MatchString(m.Command.String())
}
