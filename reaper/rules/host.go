package rules

import (
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strings"

	"closewait_exporter/reaper/document"
	"closewait_exporter/reaper/step"
)

// Host answers questions about the host on which Check runs. The rules can be for another host, so
// Check only warns about what this one lacks.
type Host struct {
	// Trusted returns an error if other users can change a file.
	Trusted func(path string) error
	// CanRun returns an error if a guard with this command could not be started, or if other users
	// can change what it runs.
	CanRun func(command []string) error
	// HasUser reports whether a user has that name.
	HasUser func(name string) bool
}

// elsewhere ends the warnings that depend on the host.
const elsewhere = "; ignore this if the rules are for another host"

// guardAt and userAt are parts of a file that depend on the host.
type guardAt struct {
	line    int
	path    string // the start of a message about it
	command []string
}

type userAt struct {
	section *document.Section
	line    int
	names   []string
}

// warnAboutHost warns about a rules file that other users can change, and about guards and users
// that this host does not have.
func (p *parser) warnAboutHost(path string, h Host) {
	if err := h.Trusted(path); err != nil && !errors.Is(err, fs.ErrNotExist) { // a pipe has no path
		p.Warning(1, fmt.Sprintf("other users can change the rules, and so decide which programs are run and ended, so --reaper.enforce refuses them: %v", err))
	}
	for _, g := range p.guards {
		if err := h.CanRun(g.command); err != nil {
			p.Warning(g.line, g.path+": "+guardWarning(err))
		}
	}
	for _, u := range p.users {
		p.warnAboutUsers(u, h.HasUser)
	}
}

// guardWarning adds the remedy to an error that does not name one.
func guardWarning(err error) string {
	remedy := ""
	switch {
	case errors.Is(err, fs.ErrNotExist):
		remedy = ": install it or correct the path"
	case errors.Is(err, fs.ErrPermission):
		remedy = ": make it executable with chmod +x"
	}
	return fmt.Sprintf("with --reaper.enforce the rule would be suspended on this host: %v%s%s", err, remedy, elsewhere)
}

// literalUsers matches an expression that is a name, or a choice between names.
var literalUsers = regexp.MustCompile(`^\^?\(?(?:\?:)?([A-Za-z_][\w.-]*(?:\|[A-Za-z_][\w.-]*)*)\)?\$?$`)

// noteUsers remembers the users that the expressions of the key user name.
func (p *parser) noteUsers(s *document.Section) {
	for _, t := range s.Texts("user") {
		if parts := literalUsers.FindStringSubmatch(t.Text); parts != nil {
			p.users = append(p.users, userAt{s, t.Line, strings.Split(parts[1], "|")})
		}
	}
}

// warnAboutUsers warns if no user of an expression exists: then a process that runs as one has only
// a number.
func (p *parser) warnAboutUsers(u userAt, exists func(string) bool) {
	for _, name := range u.names {
		if exists(name) {
			return
		}
	}
	u.section.WarnAt(u.line, "user", fmt.Sprintf("no user is called %s on this host, so this matches no process: correct the name, or write the number of the user%s",
		strings.Join(u.names, " or "), elsewhere))
}

// noteGuard remembers the command of a step that runs one.
func (p *parser) noteGuard(s parsedStep) {
	if guard, ok := s.Step.(step.Run); ok && !s.wrong {
		p.guards = append(p.guards, guardAt{s.line, s.path, guard.Command})
	}
}
