package reaper

import (
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/policy"
)

// Record is a line of the audit file: a decision to act, a step that is about to be run, or the end
// of a remediation. All lines of a remediation have the same ID, which is in the log too.
type Record struct {
	Time   time.Time `json:"time"`
	ID     string    `json:"id"`
	Event  string    `json:"event"` // decision, step, end
	Mode   string    `json:"mode"`
	Rule   string    `json:"rule"`
	Group  string    `json:"group"`
	PID    int       `json:"pid"`
	Reason string    `json:"reason,omitempty"`

	*DecisionRecord `json:",omitempty"` // of a decision
	*StepRecord     `json:",omitempty"` // of a step
	*EndRecord      `json:",omitempty"` // of an end
	*DryRunRecord   `json:",omitempty"` // of an end in dry run

	EvidenceFiles []string `json:"evidence_files,omitempty"` // of an end, in dry run too
}

// DecisionRecord is what a decision is based on.
type DecisionRecord struct {
	Targets  []ProcessInfo `json:"targets"`
	Sockets  int           `json:"sockets"`  // that are evidence
	Evidence []SocketInfo  `json:"evidence"` // the oldest of them, up to a maximum
	Steps    []string      `json:"steps"`
}

// ProcessInfo describes a process.
type ProcessInfo struct {
	PID       int       `json:"pid"`
	Start     uint64    `json:"start"` // clock ticks since boot
	Started   time.Time `json:"started"`
	Comm      string    `json:"comm"`
	Exe       string    `json:"exe"`
	User      string    `json:"user"`
	Unit      string    `json:"unit,omitempty"`
	Container string    `json:"container,omitempty"`
	OpenFDs   uint64    `json:"open_fds"`
	MaxFDs    uint64    `json:"max_fds"`
}

// SocketInfo describes a socket. Times are seconds.
type SocketInfo struct {
	NetNS     closewait.NetNS `json:"netns"`
	Cookie    uint64          `json:"cookie,omitempty"`
	Inode     uint64          `json:"inode"`
	Local     string          `json:"local"`
	Remote    string          `json:"remote"`
	Direction string          `json:"direction"`
	State     string          `json:"state"`
	Unread    uint64          `json:"unread_bytes"`
	Age       float64         `json:"age_seconds"`
	Quiet     float64         `json:"quiet_seconds"`
}

// StepRecord is a step that is applied to one process.
type StepRecord struct {
	Step   string `json:"step"`
	Target int    `json:"target"` // pid
}

// EndRecord says how a remediation ended and what it released.
type EndRecord struct {
	Result          Result       `json:"result"`
	ReleasedSockets int          `json:"released_sockets"`
	ReleasedFDs     uint64       `json:"released_fds"`
	StepResults     []StepResult `json:"step_results"`
}

// DryRunRecord says what a rule in dry run would have done.
type DryRunRecord struct {
	WouldRun []StepRecord `json:"would_run"`
}

// StepResult is the result of a step for one process. Arguments and Output are of a guard, and only
// given if the rule says so.
type StepResult struct {
	StepRecord
	Arguments []string `json:"arguments,omitempty"`
	Output    string   `json:"output,omitempty"`
	Detail    string   `json:"detail,omitempty"`
	Error     string   `json:"error,omitempty"`
	Took      float64  `json:"took_seconds"`
}

// socketsRecorded limits the length of a line: a process can hold any number of sockets.
const socketsRecorded = 100

func newRecord(d *policy.Decision, event string, at time.Time) Record {
	return Record{
		Time: at, ID: d.ID(), Event: event, Mode: d.Rule.Mode.String(), Rule: d.Rule.Name, Group: d.Group, PID: d.Process.ID.PID,
	}
}

// newDecisionRecord returns the record of a decision to act, with at most that number of sockets.
func newDecisionRecord(d *policy.Decision, at time.Time, sockets int) Record {
	r := newRecord(d, "decision", at)
	r.Reason = d.Reason()
	r.DecisionRecord = &DecisionRecord{Sockets: len(d.Evidence)}
	for _, p := range d.TargetProcesses() {
		r.Targets = append(r.Targets, newProcessInfo(p))
	}
	for _, s := range d.Evidence[:min(len(d.Evidence), sockets)] {
		r.Evidence = append(r.Evidence, newSocketInfo(s, d.Taken))
	}
	for _, s := range d.Rule.Steps {
		r.Steps = append(r.Steps, s.String())
	}
	return r
}

func newProcessInfo(p *closewait.Process) ProcessInfo {
	return ProcessInfo{
		PID: p.ID.PID, Start: p.ID.Start, Started: p.StartTime, Comm: p.Comm, Exe: p.Exe, User: p.User, Unit: p.Unit, Container: p.Container,
		OpenFDs: p.OpenFDs, MaxFDs: p.MaxFDs,
	}
}

func newSocketInfo(s *closewait.Socket, now time.Time) SocketInfo {
	return SocketInfo{
		NetNS: s.ID.NetNS, Cookie: s.ID.Cookie, Inode: s.Inode, Local: s.Local.String(), Remote: s.Remote.String(),
		Direction: s.Direction.String(), State: s.State.String(), Unread: s.UnreadBytes(), Age: s.Age(now).Seconds(), Quiet: s.Quiet(now).Seconds(),
	}
}
