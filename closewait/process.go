package closewait

import (
	"math"
	"time"
)

// ProcessID identifies a process until the host reboots: pids are reused, a pid together with its
// start time is not.
type ProcessID struct {
	PID   int
	Start uint64 // clock ticks since boot, field 22 of /proc/PID/stat
}

// UnlimitedFDs is the MaxFDs of a process whose limit is "unlimited".
const UnlimitedFDs = math.MaxUint64

// Process describes a process that holds sockets. Its strings are unfiltered: they can contain any
// byte but NUL.
type Process struct {
	ID        ProcessID
	StartTime time.Time // wall clock
	Comm      string    // at most 15 bytes, chosen by the process
	Exe       string    // path; empty where not permitted
	UID       uint32    // effective
	User      string    // name of UID, or its digits
	State     byte      // of the main thread, as in /proc/PID/stat: R, S, D, T, Z, ...
	Halted    string    // what keeps the process from running, as far as somebody has asked; empty: nothing known
	Unit      string    // systemd service, empty outside one
	Container string    // id, 64 hex digits as a rule; empty outside one
	Pod       string    // uid of the Kubernetes pod
	// GroupUnknown says that Unit, Container and Pod are empty because they could not be read.
	GroupUnknown bool
	NetNS        NetNS // where the process lives; its sockets may be elsewhere
	FDsKnown     bool  // whether OpenFDs could be read
	OpenFDs      uint64
	MaxFDs       uint64 // soft limit; UnlimitedFDs, or 0 where it could not be read
}

// ContainerDigits is the number of digits to which people and docker ps shorten a container id.
const ContainerDigits = 12

// Group is a name that survives a restart of the process: its systemd unit, else its container,
// else its comm.
func (p *Process) Group() string {
	switch {
	case p.Unit != "":
		return p.Unit
	case p.Container != "":
		return "container:" + p.Container[:min(ContainerDigits, len(p.Container))]
	}
	return p.Comm
}

// FDRatio is the used share of the soft limit, 0 to 1; false if it is not known.
func (p *Process) FDRatio() (float64, bool) {
	if !p.FDsKnown || p.MaxFDs == 0 {
		return 0, false
	}
	if p.MaxFDs == UnlimitedFDs {
		return 0, true
	}
	return float64(p.OpenFDs) / float64(p.MaxFDs), true
}
