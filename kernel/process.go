package kernel

import (
	"bytes"
	"fmt"
	"os/user"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel/iterator"
)

// clockTick is the unit of the start time in /proc/PID/stat: USER_HZ is 100 on every architecture
// that Go runs on (proc_pid_stat(5), sysconf(_SC_CLK_TCK)).
const ClockTick = 10 * time.Millisecond

// lives tells whether the process is still there and can hold anything. One that cannot be read counts
// as gone, and so does a zombie that is only waiting to be collected.
func (s *Scanner) lives(id closewait.ProcessID) bool {
	dir, err := s.proc.OpenPID(id.PID)
	if err != nil {
		return false
	}
	defer dir.Close()
	st, err := s.readStat(dir)
	return err == nil && st.Start == id.Start && (!LeaderEnded(st.State) || st.Threads > 1)
}

// leaderless tells by its state whether the main thread has ended. The process goes on as long as it has others.
func LeaderEnded(state byte) bool { return state == 'Z' || state == 'X' }

func (s *Scanner) readStat(dir Directory) (Stat, error) {
	var err error
	if s.data, err = dir.Read("stat", s.data); err != nil {
		return Stat{}, err
	}
	return ParseStat(s.data)
}

// describeHolders reads who the holders of the sockets are. Only files that cannot hang are read. It
// fails when we were short of something ourselves: a holder without description would not be listed.
func (s *Scanner) describeHolders() error {
	s.processes = s.processes[:0]
	before := s.described
	s.described = make(map[closewait.ProcessID]description, len(before))
	for id, lives := range s.holders {
		if !lives {
			continue
		}
		p, err := s.describe(id, before[id])
		s.faults.Add(StageFacts, err)
		switch {
		case OutOfResources(err):
			return err
		case err == nil:
			s.processes = append(s.processes, p)
		}
	}
	return nil
}

// description are the facts of a process, with what tells whether they still hold.
type description struct {
	closewait.Process
	version iterator.Version
	at      time.Time
}

// describe reads the facts of a process. What may not be read stays empty and is counted; only
// when the process cannot be identified there is nothing to say of it. What was read before and
// cannot have changed is not read again.
func (s *Scanner) describe(id closewait.ProcessID, before description) (closewait.Process, error) {
	told, known := s.resident(id)
	current := known && before.version == told.Version && time.Since(before.at) < s.options.Relook
	if current {
		s.described[id] = before
		if p, whole := s.retell(before.Process, &told); whole {
			return p, nil
		}
	}
	dir, p, err := s.openFacts(id)
	if err != nil {
		return p, err
	}
	defer dir.Close()
	if current {
		p.UID, p.User, p.Unit, p.Container, p.Pod, p.GroupUnknown = before.UID, before.User, before.Unit, before.Container, before.Pod, before.GroupUnknown
		p.Exe, p.MaxFDs = before.Exe, before.MaxFDs
		s.readFacts(dir, &p, s.readNetNS, s.readDescriptors)
		return p, nil
	}
	whole := s.readFacts(dir, &p, s.readUser, s.readGroup, s.readExe, s.readNetNS, s.readDescriptors, s.readLimit)
	if known && whole {
		s.described[id] = description{p, told.Version, time.Now()}
	}
	return p, nil
}

// retell is a process of which BPF has told all that can have changed since it was described, as of the pass: it can have
// ended since.
func (s *Scanner) retell(p closewait.Process, told *iterator.Process) (retold closewait.Process, whole bool) {
	p.Comm, p.State, p.NetNS = told.Command(), told.StateLetter(), closewait.NetNS(told.Netns)
	p.OpenFDs, p.FDsKnown = s.iterator.OpenDescriptors(told)
	return p, p.FDsKnown && !LeaderEnded(p.State)
}

// openFacts opens the directory of a process, or that of another thread where the leader has ended, and
// reads who it is.
func (s *Scanner) openFacts(id closewait.ProcessID) (Directory, closewait.Process, error) {
	p := closewait.Process{ID: id, StartTime: s.bootTime.Add(time.Duration(id.Start) * ClockTick)}
	dir, err := s.proc.OpenPID(id.PID)
	if err != nil {
		return -1, p, err
	}
	st, err := s.readStat(dir)
	switch {
	case err != nil:
		err = fmt.Errorf("stat of process %d: %w", id.PID, err)
	case st.Start != id.Start:
		err = fmt.Errorf("process %d is another one now: %w", id.PID, unix.ESRCH)
	}
	if err != nil {
		dir.Close()
		return -1, p, err
	}
	p.Comm, p.State = string(st.Comm), st.State
	if LeaderEnded(st.State) {
		defer dir.Close()
		dir, err = s.openStandIn(dir, id.PID)
	}
	return dir, p, err
}

// readFacts is false where some could not be read.
func (s *Scanner) readFacts(dir Directory, p *closewait.Process, reads ...func(Directory, *closewait.Process) error) bool {
	whole := true
	for _, read := range reads {
		err := dir.UnlessEnded(".", read(dir, p))
		s.faults.Add(StageFacts, err)
		whole = whole && err == nil
	}
	return whole
}

func (s *Scanner) readUser(dir Directory, p *closewait.Process) (err error) {
	if s.data, err = dir.Read("status", s.data); err != nil {
		return err
	}
	if p.UID, err = parseEffectiveUID(s.data); err != nil {
		return err
	}
	p.User = s.userName(p.UID)
	return nil
}

// userName is the name of a user, or the digits of its id where it has none here, as for most users
// of containers. Answers are kept: the files behind them rarely change.
func (s *Scanner) userName(uid uint32) string {
	if name, known := s.users[uid]; known {
		return name
	}
	name := strconv.FormatUint(uint64(uid), 10)
	if u, err := user.LookupId(name); err == nil {
		name = u.Username
	}
	s.users[uid] = name
	return name
}

func (s *Scanner) readGroup(dir Directory, p *closewait.Process) (err error) {
	if s.data, err = dir.Read("cgroup", s.data); err != nil {
		p.GroupUnknown = !Vanished(err)
		return err
	}
	m := parseCgroup(s.data)
	p.Unit, p.Container, p.Pod = m.unit, m.container, m.pod
	return nil
}

func (s *Scanner) readExe(dir Directory, p *closewait.Process) error {
	var target [unix.PathMax]byte
	link, err := dir.Readlink("exe", target[:])
	if err != nil {
		return err
	}
	p.Exe = string(bytes.TrimSuffix(link, []byte(" (deleted)")))
	return nil
}

func (s *Scanner) readNetNS(dir Directory, p *closewait.Process) (err error) {
	if told, known := s.resident(p.ID); known { // BPF may tell where /proc may not
		p.NetNS = closewait.NetNS(told.Netns)
		return nil
	}
	p.NetNS, err = ReadNamespace(dir, "ns/net")
	return err
}

// readDescriptors counts the open descriptors: the size of /proc/PID/fd from Linux 6.2 on, which
// needs no privilege, else its entries.
func (s *Scanner) readDescriptors(dir Directory, p *closewait.Process) error {
	if s.fdSizes {
		st, err := dir.Stat("fd")
		if err != nil {
			return err
		}
		p.OpenFDs, p.FDsKnown = uint64(st.Size), true
		return nil
	}
	fds, err := OpenDirectory(dir, "fd")
	if err != nil {
		return err
	}
	defer fds.Close()
	err = fds.Each(s.entries, func([]byte) { p.OpenFDs++ })
	p.FDsKnown = err == nil
	return err
}

func (s *Scanner) readLimit(dir Directory, p *closewait.Process) (err error) {
	if s.data, err = dir.Read("limits", s.data); err != nil {
		return err
	}
	if len(s.data) == 0 { // of a process that is ending (proc_pid_limits in fs/proc/base.c)
		return fmt.Errorf("read limits: %w", unix.ESRCH)
	}
	p.MaxFDs, err = parseMaxOpenFiles(s.data)
	return err
}
