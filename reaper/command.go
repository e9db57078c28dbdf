package reaper

import (
	"errors"
	"maps"
	"time"

	"closewait_exporter/closewait"
)

// How long what is known of command lines is kept. One that could not be read is tried again, but
// not soon: the read can hang, and then it costs a thread (proc_pid_cmdline(5) takes mmap_lock).
const (
	commandRetry = time.Minute
	commandKept  = 10 * time.Minute // of a process that is in no View at present
)

// Command is the command line of a process, or why it could not be read.
type Command struct {
	ID    closewait.ProcessID
	Exe   string // at that time: another one means another command line
	Line  string
	Err   error
	Asked time.Time
}

var errCommandNotRead = errors.New("the command line has not been read yet")

// Unknown returns the processes whose command lines some rule needs, as everything else about them
// matches. The caller reads as many as it likes and tells the State by Learn.
func (p *Policy) Unknown(view *closewait.View, s State) []*closewait.Process {
	s = s.under(p)
	var unknown []*closewait.Process
	for _, h := range view.Holders {
		if c, known := s.commands[h.ID]; known && c.Exe == h.Exe && (c.Err == nil || view.Taken.Sub(c.Asked) < commandRetry) {
			continue
		}
		if p.needsCommand(&h.Process) {
			unknown = append(unknown, &h.Process)
		}
	}
	return unknown
}

func (p *Policy) needsCommand(process *closewait.Process) bool {
	for i := range p.rules {
		if p.rules[i].Match.Command == nil {
			continue
		}
		asked := false
		p.rules[i].Match.Matches(process, func() (string, error) {
			asked = true
			return "", errCommandNotRead
		})
		if asked {
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

func (s *State) keepCommands(present map[closewait.ProcessID]*memory, now time.Time) map[closewait.ProcessID]Command {
	kept := make(map[closewait.ProcessID]Command, len(s.commands))
	for id, c := range s.commands {
		if present[id] != nil || now.Sub(c.Asked) < commandKept {
			kept[id] = c
		}
	}
	return kept
}

// command is the command line of a process as far as it is known.
func (s *State) command(p *closewait.Process) (string, error) {
	c, known := s.commands[p.ID]
	if !known || c.Exe != p.Exe {
		return "", errCommandNotRead
	}
	return c.Line, c.Err
}
