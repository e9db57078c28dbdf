package reaper

import (
	"time"

	"closewait_exporter/closewait"
)

// Record is a line of the audit file: a decision to act, a step that is about to be taken, or the end
// of a ladder. The ID ties the lines of one ladder together, and to the log.
type Record struct {
	Time   time.Time `json:"time"`
	ID     string    `json:"id"`
	Event  string    `json:"event"` // decision, step, end
	Mode   string    `json:"mode"`
	Rule   string    `json:"rule"`
	Group  string    `json:"group"`
	PID    int       `json:"pid"`
	Reason string    `json:"reason,omitempty"`

	*Case    `json:",omitempty"` // of a decision
	*Deed    `json:",omitempty"` // of a step
	*Account `json:",omitempty"` // of an end
}

// Case is what a decision rests on.
type Case struct {
	Victims  []Person  `json:"victims"`
	Sockets  int       `json:"sockets"`  // that are evidence
	Evidence []Exhibit `json:"evidence"` // at most so many of them as are kept, oldest first
	Steps    []string  `json:"steps"`
}

// Person is a process as the audit file describes it.
type Person struct {
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

// Exhibit is a socket as the audit file describes it. Times are seconds.
type Exhibit struct {
	NetNS     closewait.NetNS `json:"netns"`
	Cookie    uint64          `json:"cookie,omitempty"`
	Inode     uint64          `json:"inode"`
	Local     string          `json:"local"`
	Remote    string          `json:"remote"`
	Direction string          `json:"direction"`
	Defunct   bool            `json:"defunct,omitempty"` // else in CLOSE_WAIT
	Unread    uint64          `json:"unread_bytes"`
	Age       float64         `json:"age_seconds"`
	Quiet     float64         `json:"quiet_seconds"`
}

// Deed is a step as it is taken against one process.
type Deed struct {
	Step   string `json:"step"`
	Target int    `json:"target"` // pid
}

// Account is how a ladder ended, and what came of it.
type Account struct {
	Result          Result    `json:"result"`
	ReleasedSockets int       `json:"released_sockets"`
	ReleasedFDs     uint64    `json:"released_fds"`
	Deeds           []Receipt `json:"deeds"` // that were done, or tried
}

// Receipt is what came of a Deed.
type Receipt struct {
	Deed
	Detail string  `json:"detail,omitempty"`
	Error  string  `json:"error,omitempty"`
	Took   float64 `json:"took_seconds"`
}

// exhibitsKept bounds the length of a line: a process can hold as many sockets as it likes.
const exhibitsKept = 100

func newRecord(d *Decision, event string, at time.Time) Record {
	return Record{
		Time: at, ID: d.ID(), Event: event, Mode: d.Rule.Mode.String(), Rule: d.Rule.Name, Group: d.Group, PID: d.Process.ID.PID,
	}
}

// record is the line of a decision to act, with at most so many sockets.
func (d *Decision) record(at time.Time, exhibits int) Record {
	r := newRecord(d, "decision", at)
	r.Reason = d.Reason()
	r.Case = &Case{Sockets: len(d.Evidence)}
	for _, p := range d.victims() {
		r.Victims = append(r.Victims, newPerson(p))
	}
	for _, s := range d.Evidence[:min(len(d.Evidence), exhibits)] {
		r.Evidence = append(r.Evidence, newExhibit(s, d.Taken))
	}
	for i := range d.Rule.Steps {
		r.Steps = append(r.Steps, d.Rule.Steps[i].String())
	}
	return r
}

func newPerson(p *closewait.Process) Person {
	return Person{
		PID: p.ID.PID, Start: p.ID.Start, Started: p.StartTime, Comm: p.Comm, Exe: p.Exe, User: p.User, Unit: p.Unit, Container: p.Container,
		OpenFDs: p.OpenFDs, MaxFDs: p.MaxFDs,
	}
}

func newExhibit(s *closewait.Socket, now time.Time) Exhibit {
	return Exhibit{
		NetNS: s.ID.NetNS, Cookie: s.ID.Cookie, Inode: s.Inode, Local: s.Local.String(), Remote: s.Remote.String(),
		Direction: s.Direction.String(), Defunct: s.Defunct, Unread: s.UnreadBytes(), Age: s.Age(now).Seconds(), Quiet: s.Quiet(now).Seconds(),
	}
}
