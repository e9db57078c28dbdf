package rules

import (
	"cmp"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"closewait_exporter/closewait"
)

// Match selects processes. All expressions that are given must match; they are anchored.
type Match struct {
	Exe, Command, Unit, User, Container *regexp.Regexp // nil: not given
}

// Mismatch is the first key of a Match that a process does not match.
type Mismatch struct {
	Key   string         // as in the rules file
	Value string         // of the process; empty if there is none, or it is unknown
	Want  *regexp.Regexp // of the rule
	Err   error          // why Value is unknown
}

func (m Mismatch) String() string {
	switch {
	case m.Err != nil:
		return fmt.Sprintf("%s is unknown: %v", m.Key, m.Err)
	case m.Value == "":
		return m.Key + " is unknown or empty"
	}
	text := fmt.Sprintf("%s %q does not match %s", m.Key, m.Value, expression(m.Want))
	if (m.Key == "unit" || m.Key == "container") && strings.Contains(m.Value, "/") && !hasSlash(m.Want) {
		text += ", because the host did not choose this name: only an expression with a slash is compared with it"
	}
	return text
}

// Fits reports whether text matches an expression. A missing expression matches everything, and
// empty text, which stands for unknown text, matches no expression.
func Fits(e *regexp.Regexp, text string) bool {
	return e == nil || text != "" && e.MatchString(text)
}

// Matches reports whether the rule applies to p and, if not, why. An unknown value never matches.
// command returns the arguments of p, joined by spaces; it is called only if the rule asks for them
// and everything else matches, because reading them can take long.
func (m *Match) Matches(p *closewait.Process, command func() (string, error)) (bool, Mismatch) {
	return m.MatchesBy(Fits, p, command)
}

// MatchesBy is Matches with another implementation of Fits, such as one with a cache. It is not
// used for the arguments, which are long and rarely the same.
func (m *Match) MatchesBy(fits func(*regexp.Regexp, string) bool, p *closewait.Process, command func() (string, error)) (bool, Mismatch) {
	switch {
	case !fitsUser(fits, m.User, p):
		return false, Mismatch{Key: "user", Value: p.User, Want: m.User}
	case !fitsUnit(fits, m.Unit, p):
		return false, Mismatch{Key: "unit", Value: cmp.Or(p.Unit, p.Nested), Want: m.Unit}
	case !fitsContainer(fits, m.Container, p):
		return false, Mismatch{Key: "container", Value: cmp.Or(p.Container, p.Nested), Want: m.Container}
	case !fits(m.Exe, p.Exe):
		return false, Mismatch{Key: "exe", Value: p.Exe, Want: m.Exe}
	case m.Command == nil:
		return true, Mismatch{}
	}
	line, err := command()
	if err != nil || !Fits(m.Command, line) {
		return false, Mismatch{Key: "command", Value: line, Want: m.Command, Err: err}
	}
	return true, Mismatch{}
}

// FitsUser reports whether an expression matches the effective user of a process, by name or
// number. Without a name the number is unknown too, and not 0.
func FitsUser(e *regexp.Regexp, p *closewait.Process) bool { return fitsUser(Fits, e, p) }

func fitsUser(fits func(*regexp.Regexp, string) bool, e *regexp.Regexp, p *closewait.Process) bool {
	return fits(e, p.User) || p.User != "" && fits(e, strconv.FormatUint(uint64(p.UID), 10))
}

// FitsUnit reports whether an expression matches the unit of a process. A unit of a user manager or
// inside a container can have any name, so it is compared as its whole group, such as
// user@1000.service/web.service, and only with an expression that has a slash: no unit of the host
// has one in its name.
func FitsUnit(e *regexp.Regexp, p *closewait.Process) bool { return fitsUnit(Fits, e, p) }

func fitsUnit(fits func(*regexp.Regexp, string) bool, e *regexp.Regexp, p *closewait.Process) bool {
	return fits(e, p.Unit) || hasSlash(e) && strings.HasSuffix(p.Nested, ".service") && fits(e, p.Nested)
}

// fitsContainer is fitsUnit for containers: the whole id, or the digits that people write.
func fitsContainer(fits func(*regexp.Regexp, string) bool, e *regexp.Regexp, p *closewait.Process) bool {
	short := p.Container[:min(closewait.ContainerDigits, len(p.Container))]
	return fits(e, p.Container) || fits(e, short) || hasSlash(e) && fits(e, p.Nested)
}

// FitsGroup reports whether an expression matches the group of a process, or the unit, pod or
// container of the host in which that group is. Like FitsUnit it compares what the host has not
// chosen only with an expression that has a slash. A comm is no group here: a process could take
// any.
func FitsGroup(e *regexp.Regexp, p *closewait.Process) bool {
	around := *p
	around.Nested = ""
	return !around.GroupedByComm() && Fits(e, around.Group()) || hasSlash(e) && Fits(e, p.Nested)
}

func hasSlash(e *regexp.Regexp) bool { return e != nil && strings.Contains(e.String(), "/") }
