package action

import (
	"fmt"

	"closewait_exporter/kernel/host"
)

// State says what keeps the threads of a process from running.
type State struct {
	Threads int
	Stopped int  // by a signal or a tracer: TERM stays pending, and its sockets age without its fault
	Blocked int  // in uninterruptible sleep: not even KILL ends them before the kernel wakes them
	Frozen  bool // by a cgroup, as docker pause does
}

// Halted reports whether someone keeps the process from running. A program that cannot run leaks
// nothing.
func (s State) Halted() bool { return s.Stopped > 0 || s.Frozen }

// State reads the current state of the process, from files that cannot block.
func (h *ProcessHandle) State() (State, error) {
	var s State
	err := h.withDirectory(func(dir host.Directory) error {
		if err := s.countThreads(dir); err != nil {
			return err
		}
		s.Frozen = h.executor.isFrozen(dir)
		return nil
	})
	if err == nil {
		err = h.requireAlive() // the last thread may have ended while the state was read
	}
	if err != nil {
		return State{}, fmt.Errorf("state of process %d: %w", h.id.PID, host.GoneIfVanished(err))
	}
	return s, nil
}

// Halted reports whether the process is stopped, traced or frozen.
func (h *ProcessHandle) Halted() (bool, error) {
	s, err := h.State()
	return s.Halted(), err
}

func (s *State) countThreads(dir host.Directory) error {
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
