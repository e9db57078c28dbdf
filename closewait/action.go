package closewait

import (
	"errors"
	"fmt"
	"time"
)

// Errors of actions on processes and of guards. Implementations of actions wrap them, and they
// decide how the reaper continues.
var (
	// ErrGone reports that a process has ended, or that another process has its pid now. It is not
	// a failure: there is nothing left to act on.
	ErrGone = errors.New("process has ended")
	// ErrGuardDenied reports that a guard ended with an exit status other than 0.
	ErrGuardDenied = errors.New("guard denied")
	// ErrGuardFailed reports that a guard gave no answer: it could not be started, ran too long,
	// wrote too much or was killed by a signal.
	ErrGuardFailed = errors.New("guard failed")
	// ErrEvidenceLate reports that evidence was not written in time. The remedy does not wait for it.
	ErrEvidenceLate = errors.New("the evidence was not written in time")
	// ErrRefused reports that a step must not be applied to this target, or that somebody else has
	// refused it.
	ErrRefused = errors.New("refused")
	// ErrUnitBusy reports that a unit is being started, stopped or restarted.
	ErrUnitBusy = errors.New("the unit is busy")
	// ErrDisruptionBudget reports that a PodDisruptionBudget does not allow an eviction now.
	ErrDisruptionBudget = errors.New("the PodDisruptionBudget allows no eviction now")
	// ErrTerminating reports that the target is being ended already.
	ErrTerminating = errors.New("it is terminating already")
	// ErrCluster reports that the API server of Kubernetes gave no answer to rely on.
	ErrCluster = errors.New("no answer of the API server")
)

// Eviction is a request to evict the pod of a process.
type Eviction struct {
	PodUID     string
	Namespaces []string // in which the pod may be
	Allow      EvictionAllowance
	DryRun     bool // only ask whether it would be allowed
}

// EvictionAllowance says which pods are evicted that are left alone otherwise.
type EvictionAllowance struct {
	Bare     bool // without a controller
	Job      bool // of a Job
	EmptyDir bool // that lose data
	NoPDB    bool // without a PodDisruptionBudget
}

// EvictionResult is the result of an Eviction.
type EvictionResult struct {
	Pod  string // namespace and name; empty if it was not found
	Sent bool   // the pod is evicted, or may be: the answer was lost
}

// HolderLookup is the result of a fresh lookup of the processes that hold certain sockets.
type HolderLookup struct {
	Of       map[SocketID][]ProcessID // ascending by pid; absent for a socket without a known holder
	Complete bool                     // every process could be read, except perhaps pid 1
}

// SocketCounts counts the sockets of a step by result.
type SocketCounts struct {
	Done   int // the connection was ended
	Gone   int // skipped: its descriptor was closed, or it has changed since the scan
	Closed int // skipped: the connection was over on both sides already
	Failed int // the attempt failed
}

// String is the text for logs and audit records. It mentions closed sockets only if there are
// some.
func (c SocketCounts) String() string {
	text := fmt.Sprintf("%d ended, %d gone, %d failed", c.Done, c.Gone, c.Failed)
	if c.Closed > 0 {
		text += fmt.Sprintf(", %d closed already", c.Closed)
	}
	return text
}

// Guard is a command that must exit with status 0 before the next step is carried out.
type Guard struct {
	Command  []string // program and arguments, without a shell; {pid}, {rule} and {group} are replaced in arguments
	Timeout  time.Duration
	PID      int
	Rule     string
	Group    string            // chosen by the process in some cases, so it can begin with a dash
	Evidence []byte            // JSON, the guard's stdin
	Env      map[string]string // further variables, named without the prefix CLOSEWAIT_
}

// Boot identifies one run of the host: start times and cookies have no meaning in another one.
type Boot struct {
	ID     string        // /proc/sys/kernel/random/boot_id
	Uptime time.Duration // CLOCK_BOOTTIME: suspended time counts
}
