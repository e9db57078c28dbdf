package policy

import (
	"errors"
	"maps"
	"slices"
	"time"

	"closewait_exporter/closewait"
)

// How long command lines are kept. One that could not be read is read again, but not soon: the read
// can hang, and then it costs a thread (proc_pid_cmdline(5) takes mmap_lock).
const (
	commandRetry = time.Minute
	commandKept  = 10 * time.Minute // of a process that is in no View at present
)

// Command is the command line of a process, or why it could not be read.
type Command struct {
	ID   closewait.ProcessID
	Exe  string // when it was read: another program has another command line
	Line string
	Err  error
	Read time.Time
}

var errCommandNotRead = errors.New("the command line has not been read yet")

// UnreadCommands returns the processes whose command lines some rule needs, because everything else
// about them matches: first those that were never read, then those that were read longest ago. A
// process can change its command line at any time by executing its own program again. The caller
// reads any number of them and passes them to State.Learn.
func (p *Policy) UnreadCommands(view *closewait.View, s State) []*closewait.Process {
	s = s.under(p)
	var unread []*closewait.Process
	for _, h := range view.Holders {
		if c, known := s.commands[h.ID]; known && c.Exe == h.Exe && c.valid(view.Taken) {
			continue
		}
		if p.needsCommand(s.matches, &h.Process) {
			unread = append(unread, &h.Process)
		}
	}
	slices.SortStableFunc(unread, func(a, b *closewait.Process) int {
		return s.commands[a.ID].Read.Compare(s.commands[b.ID].Read)
	})
	return unread
}

// valid reports whether the command line need not be read for a View that was taken at that time.
func (c *Command) valid(taken time.Time) bool {
	if c.Err != nil {
		return taken.Sub(c.Read) < commandRetry
	}
	return !c.Read.Before(taken)
}

func (p *Policy) needsCommand(cache *matchCache, process *closewait.Process) bool {
	for i := range p.rules {
		if p.rules[i].Match.Command == nil {
			continue
		}
		needed := false
		p.rules[i].Match.MatchesBy(cache.fits, process, func() (string, error) {
			needed = true
			return "", errCommandNotRead
		})
		if needed {
			return true
		}
	}
	return false
}

// Learn is the State with command lines that were read.
func (s State) Learn(commands []Command) State {
	known := make(map[closewait.ProcessID]Command, len(s.commands)+len(commands))
	maps.Copy(known, s.commands)
	for _, c := range commands {
		known[c.ID] = c
	}
	s.commands = known
	return s
}

func (s *State) keepCommands(present map[closewait.ProcessID]*processState, now time.Time) map[closewait.ProcessID]Command {
	kept := make(map[closewait.ProcessID]Command, len(s.commands))
	for id, c := range s.commands {
		if present[id] != nil || now.Sub(c.Read) < commandKept {
			kept[id] = c
		}
	}
	return kept
}

// command returns the command line of a process as far as it is known.
func (s *State) command(p *closewait.Process) (string, error) {
	c, known := s.commands[p.ID]
	if !known || c.Exe != p.Exe {
		return "", errCommandNotRead
	}
	return c.Line, c.Err
}
