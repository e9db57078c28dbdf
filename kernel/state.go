package kernel

import (
	"fmt"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel/host"
	"closewait_exporter/kernel/procfs"
)

// State is what the threads of a process are kept from at the moment.
type State struct {
	Threads int
	Stopped int  // by a signal or a tracer: TERM stays pending, and its sockets age without its fault
	Blocked int  // in uninterruptible sleep: not even KILL ends them until the kernel lets go
	Frozen  bool // by a cgroup, as docker pause does
}

// Halted tells whether somebody keeps the process from running. What it does not do then is no leak.
func (s State) Halted() bool { return s.Stopped > 0 || s.Frozen }

// State tells what the process does at the moment. It reads files that cannot hang.
func (g *Grip) State() (State, error) {
	var s State
	err := g.inDirectory(func(dir host.Directory) error {
		if err := s.takeThreads(dir); err != nil {
			return err
		}
		s.Frozen = g.hands.frozen(dir)
		return nil
	})
	if err == nil {
		err = g.alive() // else the last thread may have ended while it was looked at
	}
	if err != nil {
		return State{}, fmt.Errorf("state of process %d: %w", g.id.PID, host.GoneIfVanished(err))
	}
	return s, nil
}

func (s *State) takeThreads(dir host.Directory) error {
	threads, err := host.OpenDirectory(dir, "task")
	if err != nil {
		return err
	}
	defer threads.Close()
	buf := make([]byte, 4096)
	return threads.Each(make([]byte, 32<<10), func(name []byte) {
		var err error
		if buf, err = threads.Read(string(name)+"/stat", buf); err != nil {
			return // ended meanwhile
		}
		st, err := host.ParseStat(buf)
		if err != nil {
			return
		}
		s.Threads++
		switch st.State {
		case 'T', 't':
			s.Stopped++
		case 'D':
			s.Blocked++
		}
	})
}

// Describe reads anew who the process is: it can run another program by now.
func (g *Grip) Describe() (closewait.Process, error) {
	p, _, err := procfs.NewDescriber(g.hands.host).Describe(g.id, procfs.Known{})
	if err == nil {
		err = g.alive()
	}
	if err != nil {
		return closewait.Process{}, fmt.Errorf("describe process %d: %w", g.id.PID, host.GoneIfVanished(err))
	}
	return p, nil
}
