package reaper

import (
	"context"

	"closewait_exporter/closewait"
)

// Hands are how something is done to the host. There is a set for each Mode: that of DryRun looks as
// closely and touches nothing.
type Hands interface {
	Grabber
	Finder
	Guards
}

// Grabber takes hold of processes.
type Grabber interface {
	// Grab fails with closewait.ErrGone when the process has ended, or is another one by now.
	Grab(closewait.ProcessID) (Victim, error)
}

// Finder finds holders.
type Finder interface {
	// Holders looks afresh who has a descriptor for each of the sockets, in whatever state they are.
	Holders(context.Context, []*closewait.Socket) (closewait.HolderLookup, error)
}

// Guards are asked before something is done.
type Guards interface {
	// Run returns what the guard wrote, cut, and nil when it allows.
	Run(context.Context, closewait.Guard) (output string, err error)
}

// Victim is a process that is held on to: what is done to it is done to no other, even when another
// one has got its pid. All of it fails with closewait.ErrGone once it has ended.
type Victim interface {
	Mortal
	Witness
	Raiser
	Cutter
	Signaller
	Close()
}

// Mortal is a process whose end can be waited for.
type Mortal interface {
	Exited() (bool, error)
	Wait(context.Context) error // nil: it has ended
}

// Witness says what a process does and holds at this moment.
type Witness interface {
	// Describe reads the facts anew: it can run another program by now, and then it is in no View any more
	// when its connections were cut.
	Describe() (closewait.Process, error)
	// Halted tells whether it is kept from running: stopped, traced, or frozen by its cgroup.
	Halted() (bool, error)
	// Verify returns those of the sockets that it still holds, in CLOSE_WAIT or defunct as they are given.
	Verify(context.Context, []*closewait.Socket) ([]*closewait.Socket, error)
}

// Raiser raises the soft limit of open descriptors, to the hard one at most.
type Raiser interface {
	RaiseNoFile(to uint64) (before, after uint64, err error)
}

// Cutter ends connections that are still the same and in CLOSE_WAIT. The descriptors stay. At those that are
// defunct there is nothing to end: they are left alone.
type Cutter interface {
	Destroy(context.Context, []*closewait.Socket) (closewait.SocketCounts, error)  // with a RST
	Shutdown(context.Context, []*closewait.Socket) (closewait.SocketCounts, error) // with a FIN
}

// Signaller sends signals.
type Signaller interface {
	Signal(name string) error         // such as TERM
	ThreadDump(context.Context) error // of a JVM; it fails for anything else
}
