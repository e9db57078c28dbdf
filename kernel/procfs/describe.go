package procfs

import (
	"bytes"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel/host"
)

// Describer reads the facts of processes. It reads only files that cannot hang. It is not safe for
// concurrent use, since it has buffers.
type Describer struct {
	host    *host.Host
	entries []byte
	data    []byte
	tables  tableMemory
}

// NewDescriber returns a describer of the processes of a host.
func NewDescriber(h *host.Host) *Describer {
	return &Describer{host: h, entries: make([]byte, host.EntriesSize), tables: tableMemory{of: map[closewait.ProcessID]threadTables{}}}
}

// Known are facts that the caller has from elsewhere, so that they are not read.
type Known struct {
	NetNS  closewait.NetNS    // network namespace; 0 = not known
	Before *closewait.Process // an earlier description, if user, groups, program and limit still hold
}

// Describe reads the facts of a process. A fact that cannot be read stays empty, makes whole false
// and is counted as a scan error. Describe fails only if the process cannot be identified.
func (d *Describer) Describe(id closewait.ProcessID, known Known) (p closewait.Process, whole bool, err error) {
	dir, p, err := d.open(id)
	if err != nil {
		return p, false, err
	}
	defer dir.Close()
	whole = true
	read := func(fact func(host.Directory, *closewait.Process) error) {
		err := dir.UnlessEnded(".", fact(dir, &p))
		d.host.Errors.Add(host.StageFacts, err)
		whole = whole && err == nil
	}
	if before := known.Before; before != nil {
		p.UID, p.User, p.Exe, p.MaxFDs = before.UID, before.User, before.Exe, before.MaxFDs
		p.Unit, p.Container, p.Pod, p.Nested, p.GroupUnknown = before.Unit, before.Container, before.Pod, before.Nested, before.GroupUnknown
	} else {
		read(d.readUser)
		read(d.readGroup)
		read(d.readExe)
		read(d.readLimit)
	}
	if p.NetNS = known.NetNS; p.NetNS == 0 {
		read(d.readNetNS)
	}
	read(d.readDescriptors)
	return p, whole, nil
}

// open opens the directory of a process, or of another thread if the leader has ended, and reads
// the identity of the process.
func (d *Describer) open(id closewait.ProcessID) (host.Directory, closewait.Process, error) {
	p := closewait.Process{ID: id, StartTime: d.host.BootTime.Add(time.Duration(id.Start) * host.ClockTick)}
	dir, st, data, err := d.host.OpenProcessStat(id, d.data)
	d.data = data
	if err != nil {
		return -1, p, err
	}
	p.Comm, p.State = string(st.Comm), st.State
	if host.LeaderEnded(st.State) {
		defer dir.Close()
		dir, err = host.OpenStandIn(dir, id.PID)
	}
	return dir, p, err
}

func (d *Describer) readUser(dir host.Directory, p *closewait.Process) (err error) {
	if d.data, err = dir.Read("status", d.data); err != nil {
		return err
	}
	if p.UID, err = parseEffectiveUID(d.data); err != nil {
		return err
	}
	p.User = d.host.UserName(p.UID)
	return nil
}

func (d *Describer) readGroup(dir host.Directory, p *closewait.Process) (err error) {
	if d.data, err = dir.Read("cgroup", d.data); err != nil {
		p.GroupUnknown = !host.Vanished(err)
		return err
	}
	m := parseCgroup(d.data)
	p.Unit, p.Container, p.Pod, p.Nested = m.unit, m.container, m.pod, m.nested
	return nil
}

func (d *Describer) readExe(dir host.Directory, p *closewait.Process) (err error) {
	p.Exe, err = readProgram(dir)
	return err
}

// readProgram returns the path of the program that a process runs.
func readProgram(dir host.Directory) (string, error) {
	var target [unix.PathMax]byte
	link, err := dir.Readlink("exe", target[:])
	return string(bytes.TrimSuffix(link, []byte(" (deleted)"))), err
}

func (d *Describer) readNetNS(dir host.Directory, p *closewait.Process) (err error) {
	p.NetNS, err = host.ReadNamespace(dir, ".")
	return err
}

func (d *Describer) readLimit(dir host.Directory, p *closewait.Process) (err error) {
	if d.data, err = dir.Read("limits", d.data); err != nil {
		return err
	}
	if len(d.data) == 0 { // the process is ending (proc_pid_limits in fs/proc/base.c)
		return fmt.Errorf("read limits: %w", unix.ESRCH)
	}
	p.MaxFDs, err = parseMaxOpenFiles(d.data)
	return err
}
