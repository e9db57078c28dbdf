package rules

import (
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strings"

	"closewait_exporter/closewait"
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
	// Supervision returns who starts the main process of a service of this host again. An error means
	// that it is unknown, or that there is no such service.
	Supervision func(unit string) (closewait.Supervision, error)
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
	for _, e := range p.endings {
		e.warnUnlessRestarted(h.Supervision)
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

// endingAt is a rule that ends processes, and does not accept that they stay down.
type endingAt struct {
	section *document.Section // match
	match   Match
	signals []string
}

// literalUnit matches an expression that is the name of a service.
var literalUnit = regexp.MustCompile(`^\^?((?:[\w@:-]|\\\.)+\\?\.service)\$?$`)

// warnUnlessRestarted warns if nothing is known to start again what the rule ends. What is known
// depends on the process, except for a service that the rule names.
func (e *endingAt) warnUnlessRestarted(supervision func(unit string) (closewait.Supervision, error)) {
	const remedy = "so the rule does nothing (decision unsupervised): say accept_no_restart: true to end it all the same"
	if e.match.Container != nil {
		e.section.Warn("container", "what starts a container again is unknown to the exporter, "+remedy)
	}
	for _, t := range e.section.Texts("unit") {
		parts := literalUnit.FindStringSubmatch(t.Text)
		if parts == nil {
			continue
		}
		unit := strings.ReplaceAll(parts[1], `\`, "")
		s, err := supervision(unit)
		if err != nil {
			continue
		}
		for _, signal := range e.signals {
			if why := s.WhyDown(signal); why != "" {
				e.section.WarnAt(t.Line, "unit", fmt.Sprintf("after %s, %s, %s%s", signal, why, remedy, elsewhere))
				break
			}
		}
	}
}

// noteGuard remembers the command of a step that runs one.
func (p *parser) noteGuard(s parsedStep) {
	if guard, ok := s.Step.(step.Run); ok && !s.wrong {
		p.guards = append(p.guards, guardAt{s.line, s.path, guard.Command})
	}
}
