package closewait

// Supervisor is who starts a process again after it has ended.
type Supervisor string

// The supervisors. A process of a container has none of these unless it has one inside: what its
// runtime does is not known.
const (
	ByMaster      Supervisor = "master"      // the parent, which runs the same program (prefork)
	NoSupervisor  Supervisor = "none"        // no supervisor, or it is unknown
	ByRunit       Supervisor = "runit"       // runsv
	ByS6          Supervisor = "s6"          // s6-supervise
	BySocket      Supervisor = "socket"      // a socket unit starts the service at the next connection
	BySupervisord Supervisor = "supervisord" // the Python program supervisor
	BySystemd     Supervisor = "systemd"     // the service manager of the host, by Restart=
)

// Supervisors are all supervisors.
var Supervisors = []Supervisor{ByMaster, NoSupervisor, ByRunit, ByS6, BySocket, BySupervisord, BySystemd}

// Supervision is what is known about who starts a process again after a signal has ended it.
type Supervision struct {
	By   Supervisor
	Text string // describes By, or says why there is none
	// StaysDown has the signals, such as TERM, after which the process may not be started again, and
	// why. IfHandled is the same for every signal but KILL, because a program can handle them.
	// Without a supervisor they are not used.
	StaysDown map[string]string
	IfHandled string
}

// Unsupervised is the Supervision of a process that no supervisor starts again, and why.
func Unsupervised(why string) Supervision { return Supervision{By: NoSupervisor, Text: why} }

// WhyDown returns why the process may not be started again after a signal; empty if it is.
func (s *Supervision) WhyDown(signal string) string {
	why := s.StaysDown[signal]
	switch {
	case s.By == NoSupervisor:
		return s.Text
	case why == "" && signal != "KILL":
		return s.IfHandled
	}
	return why
}
