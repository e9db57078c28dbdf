package action

import (
	"fmt"

	"closewait_exporter/kernel/host"
)

// State counts the threads of a process, and those that something keeps from running.
type State struct {
	Threads int
	Stopped int  // threads stopped by a signal or a tracer; TERM stays pending meanwhile
	Blocked int  // threads in uninterruptible sleep, which not even KILL ends until the kernel wakes them
	Frozen  bool // the process is frozen by a cgroup, as by docker pause
}

// Halted reports whether the process is kept from running from outside. Its sockets age then
// although the program does not leak.
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
	return threads.Each(make([]byte, host.EntriesSize), func(name []byte) {
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
