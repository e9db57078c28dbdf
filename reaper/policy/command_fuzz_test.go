package policy

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/rules"
)

// commandHost is a host whose processes execute programs, and whose command lines say which process
// runs what.
type commandHost struct {
	t         *testing.T
	policy    *Policy
	state     State
	now       time.Duration
	processes [2]closewait.Process
	executed  [2]int // number of programs that a process has executed
	read      map[closewait.ProcessID]string
}

func (c *commandHost) line(i int) string {
	p := &c.processes[i]
	return fmt.Sprintf("%d/%d %s %d", p.ID.PID, p.ID.Start, p.Exe, c.executed[i])
}

// execute lets a process execute the same program again, or another one.
func (c *commandHost) execute(i int, other bool) {
	c.executed[i]++
	if other {
		c.processes[i].Exe = fmt.Sprint("/usr/bin/program", c.executed[i])
	}
}

// replace ends a process. Another one gets its pid.
func (c *commandHost) replace(i int) {
	c.processes[i].ID.Start++
	c.executed[i] = 0
}

// learn reads the first n command lines that are to be read.
func (c *commandHost) learn(v *closewait.View, n int, failure error) {
	unread := c.policy.UnreadCommands(v, c.state)
	var commands []Command
	for _, p := range unread[:min(n, len(unread))] {
		i := p.ID.PID - 1
		line := c.line(i)
		if failure != nil {
			line = ""
		}
		commands = append(commands, Command{ID: p.ID, Exe: p.Exe, Line: line, Err: failure, Read: v.Taken})
		c.read[p.ID] = line
	}
	c.state = c.state.Learn(commands)
}

// round observes the processes and decides. present are the ones that leak.
func (c *commandHost) round(present, n int, failure error) {
	c.now += time.Minute
	v := view(c.now)
	for i := range c.processes {
		if present&(1<<i) != 0 {
			h := holder(c.processes[i].ID, sockets(2, uint64(1+2*i), hour))
			h.Exe = c.processes[i].Exe
			v.Holders = append(v.Holders, h)
		}
	}
	c.learn(v, n, failure)
	for _, h := range v.Holders {
		line, err := c.state.command(&h.Process)
		if err != nil {
			continue
		}
		i := h.ID.PID - 1
		if known := c.read[h.ID]; line != known {
			c.t.Fatalf("the command line of process %v is %q, and what was read of it is %q", h.ID, line, known)
		}
		of := fmt.Sprintf("%d/%d %s ", h.ID.PID, h.ID.Start, h.Exe)
		if !strings.HasPrefix(line, of) {
			c.t.Fatalf("the command line of process %v, which runs %s, is %q", h.ID, h.Exe, line)
		}
		if couldBeRead := n >= len(v.Holders) && failure == nil; couldBeRead && line != c.line(i) {
			c.t.Fatalf("process %v runs %q now, and %q counts", h.ID, c.line(i), line)
		}
	}
	_, c.state = c.policy.Decide(v, c.state)
	if len(c.state.commands) > 2+len(c.read) {
		c.t.Fatalf("%d command lines are kept", len(c.state.commands))
	}
}

// FuzzCommandLinesAreOfTheirProcessAndProgram lets processes execute programs, end and be replaced
// between rounds that read some command lines or none. A command line never counts for another
// process or for another program, and if it could be read in this round, it is the current one.
func FuzzCommandLinesAreOfTheirProcessAndProgram(f *testing.F) {
	f.Add([]byte{0x13, 0x40, 0x13, 0x41, 0x13})             // rounds, and programs that execute themselves
	f.Add([]byte{0x13, 0x80, 0x10, 0x13, 0xc1, 0x10, 0x13}) // another program; another process
	f.Add([]byte{0x03, 0x23, 0x40, 0x03, 0x33, 0x13})       // reads that fail, or were not made
	f.Add([]byte{0x13, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x13})
	f.Fuzz(func(t *testing.T, events []byte) {
		p := policy(rule(func(r *rules.Rule) { r.Match = rules.Match{Command: regexp.MustCompile(`^(?:.*)$`)} }))
		c := &commandHost{t: t, policy: p, read: map[closewait.ProcessID]string{}}
		for i := range c.processes {
			c.processes[i] = closewait.Process{ID: closewait.ProcessID{PID: i + 1, Start: 1}, Exe: "/usr/bin/program"}
		}
		for _, event := range events {
			switch which := int(event & 1); event >> 6 {
			case 0: // 0b00fnnnpp
				var failure error
				if event&0x20 != 0 {
					failure = errors.New("it hangs")
				}
				c.round(int(event&3), int(event>>2&7), failure)
			case 1:
				c.execute(which, false)
			case 2:
				c.execute(which, true)
			case 3:
				c.replace(which)
			}
		}
	})
}
