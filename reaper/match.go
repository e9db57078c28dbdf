package reaper

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"

	"closewait_exporter/closewait"
)

// Mismatch is the first key of a Match that a process does not fit.
type Mismatch struct {
	Key   string         // as in the rules file
	Value string         // what the process has; empty where that is nothing, or not known
	Want  *regexp.Regexp // what the rule asks for
	Err   error          // why Value is not known
}

func (m Mismatch) String() string {
	switch {
	case m.Err != nil:
		return fmt.Sprintf("%s is not known: %v", m.Key, m.Err)
	case m.Value == "":
		return fmt.Sprintf("%s is not known, or there is none", m.Key)
	}
	return fmt.Sprintf("%s %q is not %s", m.Key, m.Value, expression(m.Want))
}

// containerDigits is how many digits of a container id people use.
const containerDigits = 12

// Matches tells whether the rule is about p and, if not, why. What is not known of a process never
// matches, whatever the expression. command gives its arguments, joined by spaces; it is called only
// when the rule asks for them and all else matches, because reading them can take long.
func (m *Match) Matches(p *closewait.Process, command func() (string, error)) (bool, Mismatch) {
	switch {
	case !m.fitsUser(p):
		return false, Mismatch{Key: "user", Value: p.User, Want: m.User}
	case !m.memo.fits(m.Unit, p.Unit):
		return false, Mismatch{Key: "unit", Value: p.Unit, Want: m.Unit}
	case !m.memo.fits(m.Container, p.Container) && !m.memo.fits(m.Container, p.Container[:min(containerDigits, len(p.Container))]):
		return false, Mismatch{Key: "container", Value: p.Container, Want: m.Container}
	case !m.memo.fits(m.Exe, p.Exe):
		return false, Mismatch{Key: "exe", Value: p.Exe, Want: m.Exe}
	case m.Command == nil:
		return true, Mismatch{}
	}
	line, err := command() // not remembered: long, and seldom the same
	if err != nil || !(*memo)(nil).fits(m.Command, line) {
		return false, Mismatch{Key: "command", Value: line, Want: m.Command, Err: err}
	}
	return true, Mismatch{}
}

// fitsUser takes the name or the number. Without a name the number is not known either, and not 0.
func (m *Match) fitsUser(p *closewait.Process) bool {
	return m.memo.fits(m.User, p.User) || p.User != "" && m.memo.fits(m.User, strconv.FormatUint(uint64(p.UID), 10))
}

// Matches tells whether a socket is one that never counts as evidence.
func (i *Ignore) Matches(s *closewait.Facts) bool {
	return slices.Contains(i.LocalPort, s.Local.Port()) ||
		slices.ContainsFunc(i.Remote, func(e Endpoint) bool { return e.Contains(s.Remote) })
}

// Contains tells whether a remote end is in the set. A v4-mapped address is taken for the IPv4 one.
func (e Endpoint) Contains(remote netip.AddrPort) bool {
	return e.Prefix.Contains(remote.Addr().Unmap().WithZone("")) && (e.Port == 0 || e.Port == remote.Port())
}
