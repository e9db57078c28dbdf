package reaper

import (
	"regexp"

	"closewait_exporter/closewait"
)

type Mismatch struct {
	Key   string
	Value string
	Want  *regexp.Regexp
	Err   error
}

func (m Mismatch) String() string { return m.Key + " does not fit" }

func (m *Match) Matches(p *closewait.Process, command func() (string, error)) (bool, Mismatch) {
	for _, c := range []struct {
		key, text string
		re        *regexp.Regexp
	}{{"exe", p.Exe, m.Exe}, {"unit", p.Unit, m.Unit}, {"user", p.User, m.User}, {"container", p.Container, m.Container}} {
		if c.re != nil && !c.re.MatchString(c.text) {
			return false, Mismatch{Key: c.key, Value: c.text, Want: c.re}
		}
	}
	if m.Command == nil {
		return true, Mismatch{}
	}
	line, err := command()
	if err != nil || !m.Command.MatchString(line) {
		return false, Mismatch{Key: "command", Value: line, Want: m.Command, Err: err}
	}
	return true, Mismatch{}
}

func (i *Ignore) Matches(s *closewait.Facts) bool {
	for _, e := range i.Remote {
		if e.Prefix.Contains(s.Remote.Addr().Unmap()) && (e.Port == 0 || e.Port == s.Remote.Port()) {
			return true
		}
	}
	return false
}

func (s *Step) EndsProcess() bool { return s.Kind == StepSignal }
