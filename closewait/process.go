package closewait

import (
	"math"
	"strings"
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
	// Unit is the service of the host's service manager, without an instance that changes at every
	// start; Container the id that a runtime of the host has given, 64 hex digits as a rule; Pod the
	// uid of the Kubernetes pod. Only the host can choose them.
	Unit, Container, Pod string
	// Nested is the group of a process inside a machine, of a unit or container below the service
	// manager of a user, and of a unit or container inside a container. It begins with what the host
	// has named, as in "user@1000.service/app.service"; whoever runs there chooses the rest.
	Nested string
	// GroupUnknown says that the four above are empty because they could not be read.
	GroupUnknown bool
	NetNS        NetNS // where the process lives; its sockets may be elsewhere
	FDsKnown     bool  // whether OpenFDs could be read
	OpenFDs      uint64
	MaxFDs       uint64 // soft limit; UnlimitedFDs, or 0 where it could not be read
	Queues       AcceptQueues
}

// ContainerDigits is the number of digits to which people and docker ps shorten a container id.
const ContainerDigits = 12

// Group is a name that survives a restart of the process and that no other service can claim: its
// place inside a user manager, container or machine, else its systemd unit, its pod, its container.
// Other processes have only their comm, which any process can take: see GroupedByComm.
func (p *Process) Group() string {
	switch {
	case p.Nested != "":
		return p.Nested
	case p.Unit != "":
		return p.Unit
	case p.Pod != "":
		return podPrefix + p.Pod
	case p.Container != "":
		return containerPrefix + p.Container[:min(ContainerDigits, len(p.Container))]
	case mistakable(p.Comm):
		return commPrefix + p.Comm
	}
	return p.Comm
}

// GroupedByComm reports whether Group is only the comm. Then processes of different users are
// different groups.
func (p *Process) GroupedByComm() bool {
	return p.Nested == "" && p.Unit == "" && p.Pod == "" && p.Container == ""
}

const (
	podPrefix       = "pod:"
	containerPrefix = "container:"
	commPrefix      = "comm:"
)

// mistakable reports whether a comm could be read as a group of another kind.
func mistakable(comm string) bool {
	for _, prefix := range []string{podPrefix, containerPrefix, commPrefix, "lxc:", "machine:", "user@"} {
		if strings.HasPrefix(comm, prefix) {
			return true
		}
	}
	return strings.HasSuffix(comm, ".service")
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
