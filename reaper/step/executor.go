package step

import (
	"context"

	"closewait_exporter/closewait"
)

// Executor finds and opens processes on the host.
type Executor interface {
	// Open fails with closewait.ErrGone if the process has ended or its pid belongs to another one.
	Open(closewait.ProcessID) (ProcessHandle, error)
	// Holders reads which processes have a descriptor of each socket now, whatever its state is.
	Holders(context.Context, []*closewait.Socket) (closewait.HolderLookup, error)
	// RunGuard returns the output of the guard, cut, and nil if it allows the next step.
	RunGuard(context.Context, closewait.Guard) (output string, err error)
	// WriteEvidence returns the path of the file that it has written. It returns when the context
	// ends, even if the disk or a process hangs.
	WriteEvidence(context.Context, closewait.EvidenceCase) (file string, err error)
	// Evict asks Kubernetes to evict a pod.
	Evict(context.Context, closewait.Eviction) (closewait.EvictionResult, error)
}

// ProcessHandle is an open process: no method ever affects another process that has got the same
// pid. All methods but Close fail with closewait.ErrGone after the process has ended.
type ProcessHandle interface {
	Exited() (bool, error)
	Wait(context.Context) error // nil: it has ended
	// Describe reads the facts again: the process can run another program by now, and it is in no
	// View any more once its connections are cut.
	Describe() (closewait.Process, error)
	// Activity shows whether the process can run, and whether it has run.
	Activity() (closewait.Activity, error)
	// Verify returns the sockets that the process still holds in the state in which they are given.
	Verify(context.Context, []*closewait.Socket) ([]*closewait.Socket, error)
	// RaiseNoFile raises the soft limit of open descriptors, to the hard limit at most.
	RaiseNoFile(to uint64) (before, after uint64, err error)
	// Destroy ends connections by a RST, Shutdown by a FIN, if they are still the same and in the
	// same state. The descriptors stay open. Closed sockets are skipped.
	Destroy(context.Context, []*closewait.Socket) (closewait.SocketCounts, error)
	Shutdown(context.Context, []*closewait.Socket) (closewait.SocketCounts, error)
	Signal(name string) error // such as TERM
	// Unit asks the service manager of the host for the service of the process. It fails with
	// closewait.ErrRefused if that must not be restarted, and with closewait.ErrUnitBusy while it is
	// being started or stopped.
	Unit(context.Context) (closewait.Unit, error)
	// RestartUnit restarts the service of the process if it is still the same start of that Unit, and
	// waits until it is active again. The error is about a restart that did not happen.
	RestartUnit(context.Context, closewait.Unit) (closewait.UnitRestart, error)
	// ThreadDump makes a JVM write its stack traces. It fails for any other program.
	ThreadDump(context.Context) error
	Close()
}

// Rights are what the exporter may do to processes of any user: nil, or why not.
type Rights struct {
	// RaiseNoFile is about processes of the exporter's own user. If the kernel refuses the step for
	// another user, the remediation ends without a harsher step.
	RaiseNoFile error
	Destroy     error
	Shutdown    error
	ThreadDump  error
	Signal      error
	Evict       error // reach Kubernetes; which pods may be evicted is not known before
	Holders     error // read who holds a socket, which is necessary before every step
	// RestartUnit returns why no unit can be restarted. It asks the service manager of the host.
	RestartUnit func() error
	// RunGuard returns why a command cannot be started.
	RunGuard func(command []string) error
}
