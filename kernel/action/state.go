package action

import (
	"bytes"
	"fmt"
	"strconv"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel/host"
	"closewait_exporter/kernel/procfs"
)

// State counts the threads of a process, and those that something keeps from running.
type State struct {
	Threads  int
	Stopped  int  // threads stopped by a signal or a tracer; TERM stays pending meanwhile
	Blocked  int  // threads in uninterruptible sleep, which not even KILL ends until the kernel wakes them
	Runnable int  // threads that run or wait for a processor
	Frozen   bool // the process is frozen by a cgroup, as by docker pause

	Ran time.Duration // processor time of the threads, or another count that grows when one runs
}

// Halted reports whether the process is kept from running from outside. Its sockets age then
// although the program does not leak.
func (s State) Halted() bool { return s.Stopped > 0 || s.Frozen }

// halted says what keeps the process from running; empty: nothing from outside.
func (s State) halted() string {
	switch {
	case s.Frozen:
		return "frozen by its cgroup"
	case s.Stopped > 0:
		return fmt.Sprintf("%d of %d threads stopped or traced", s.Stopped, s.Threads)
	}
	return ""
}

// State reads the current state of the process, from files that cannot block.
func (h *ProcessHandle) State() (s State, err error) {
	err = h.readState(func(dir host.Directory) error {
		s, err = h.executor.readState(dir)
		return err
	})
	return s, err
}

// Activity shows whether the process can run, from files that cannot block.
func (h *ProcessHandle) Activity() (a closewait.Activity, err error) {
	err = h.readState(func(dir host.Directory) error {
		a, err = h.executor.readActivity(dir)
		return err
	})
	return a, err
}

// readState calls read with the directory of the process, and fails with closewait.ErrGone if the
// process has ended.
func (h *ProcessHandle) readState(read func(host.Directory) error) error {
	err := h.withDirectory(read)
	if err == nil {
		err = h.requireAlive() // the last thread may have ended while the state was read
	}
	if err != nil {
		return fmt.Errorf("state of process %d: %w", h.id.PID, host.GoneIfVanished(err))
	}
	return nil
}

// Activity shows whether a process can run, from files that cannot block.
func (e *Executor) Activity(id closewait.ProcessID) (closewait.Activity, error) {
	dir, err := e.host.OpenProcess(id)
	if err != nil {
		return closewait.Activity{}, fmt.Errorf("state of process %d: %w", id.PID, host.GoneIfVanished(err))
	}
	defer dir.Close()
	a, err := e.readActivity(dir)
	if err != nil {
		return a, fmt.Errorf("state of process %d: %w", id.PID, host.GoneIfVanished(err))
	}
	return a, nil
}

func (e *Executor) readActivity(dir host.Directory) (closewait.Activity, error) {
	s, err := e.readState(dir)
	if err != nil {
		return closewait.Activity{}, err
	}
	a := closewait.Activity{Halted: s.halted(), Waiting: s.Blocked+s.Runnable > 0, Ran: s.Ran}
	a.Cgroup, a.Frozen = e.frozenTime(dir)
	return a, nil
}

func (e *Executor) readState(dir host.Directory) (s State, err error) {
	if err := s.countThreads(dir); err != nil {
		return State{}, err
	}
	s.Frozen = e.isFrozen(dir)
	return s, nil
}

func (s *State) countThreads(dir host.Directory) error {
	threads, err := host.OpenDirectory(dir, "task")
	if err != nil {
		return err
	}
	defer threads.Close()
	buf := make([]byte, 4096)
	return threads.Each(make([]byte, host.EntriesSize), func(name []byte) {
		thread := string(name)
		var err error
		if buf, err = threads.Read(thread+"/stat", buf); err != nil {
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
		case 'R':
			s.Runnable++
		}
		var ran time.Duration
		ran, buf = readRan(threads, thread, buf)
		s.Ran += ran
	})
}

// readRan returns the processor time of a thread, from its schedstat. A kernel without that file,
// or with zeros in it, counts context switches in status. The result is 0 for a thread that has
// ended meanwhile.
func readRan(threads host.Directory, thread string, buf []byte) (time.Duration, []byte) {
	buf, err := threads.Read(thread+"/schedstat", buf)
	if err == nil {
		first, _, _ := bytes.Cut(buf, []byte{' '})
		if ran, err := strconv.ParseInt(string(first), 10, 64); err == nil && ran > 0 {
			return time.Duration(ran), buf
		}
	}
	if buf, err = threads.Read(thread+"/status", buf); err != nil {
		return 0, buf
	}
	var switches int64
	for _, name := range []string{"voluntary_ctxt_switches", "nonvoluntary_ctxt_switches"} {
		n, _ := strconv.ParseInt(procfs.StatusField(buf, name), 10, 64)
		switches += n
	}
	return time.Duration(switches), buf
}
