package procfs

import (
	"bytes"
	"path"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel/host"
)

// Lineage reads which processes are ancestors of others and which programs they run. It remembers
// the answers, so it serves for one scan only.
type Lineage struct {
	host  *host.Host
	known map[int]relative
}

// relative is a process, or zero if it could not be read.
type relative struct {
	start  uint64
	parent int    // pid
	exe    string // path; empty where not permitted
	stack  uint64 // where the stack begins; 0 where not permitted
}

// NewLineage returns a reader of the processes of a host.
func NewLineage(h *host.Host) *Lineage { return &Lineage{h, map[int]relative{}} }

// maxGenerations bounds the search for ancestors.
const maxGenerations = 32

// Descends reports whether a process is a descendant of another one.
func (l *Lineage) Descends(id, from closewait.ProcessID) bool {
	child := l.of(id.PID)
	for range maxGenerations {
		parent := l.of(child.parent)
		switch {
		case child.parent == from.PID:
			return parent.start == from.Start
		case child.parent == 0 || parent.start > child.start: // the pid has been used again
			return false
		}
		child = parent
	}
	return false
}

// SameProgram reports whether two processes run the same program.
func (l *Lineage) SameProgram(a, b closewait.ProcessID) bool {
	exe := l.of(a.PID).exe
	return exe != "" && exe == l.of(b.PID).exe
}

// Parent returns the parent of a process, and the program that it runs, empty where not permitted.
// It returns false if one of the two could not be read.
func (l *Lineage) Parent(id closewait.ProcessID) (parent closewait.ProcessID, exe string, known bool) {
	child := l.of(id.PID)
	if child.start != id.Start || child.parent == 0 {
		return parent, "", false
	}
	of := l.of(child.parent)
	if of.start == 0 || of.start > child.start {
		return parent, "", false
	}
	return closewait.ProcessID{PID: child.parent, Start: of.start}, of.exe, true
}

// SameImage reports whether two processes run the same program in the same memory layout: with
// address space layout randomisation one has forked the other, without an execve(2) since.
func (l *Lineage) SameImage(a, b closewait.ProcessID) bool {
	stack := l.of(a.PID).stack
	return stack != 0 && stack == l.of(b.PID).stack && l.SameProgram(a, b)
}

// IsServiceManager reports whether a process is systemd, of the host or of a user.
func (l *Lineage) IsServiceManager(id closewait.ProcessID) bool {
	return path.Base(l.of(id.PID).exe) == "systemd"
}

func (l *Lineage) of(pid int) relative {
	r, known := l.known[pid]
	if !known && pid > 0 {
		r = l.read(pid)
		l.known[pid] = r
	}
	return r
}

func (l *Lineage) read(pid int) (r relative) {
	dir, err := l.host.Proc.OpenPID(pid)
	if err != nil {
		return r
	}
	defer dir.Close()
	st, data, err := dir.ReadStat(nil)
	if err != nil {
		return r
	}
	r = relative{start: st.Start, parent: st.Parent, stack: startOfStack(data)}
	r.exe, _ = readProgram(dir) // empty where not permitted
	return r
}

// startOfStack returns field 28 of /proc/PID/stat (proc_pid_stat(5)), and 0 where that is not
// permitted.
func startOfStack(stat []byte) uint64 {
	const afterComm = 28 - 3 // the first field after the comm is the third one
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) <= afterComm {
		return 0
	}
	address, _ := host.ParseNumber(fields[afterComm])
	if address == 1 { // not permitted
		return 0
	}
	return address
}
