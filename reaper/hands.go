package reaper

import (
	"context"
	"errors"
	"fmt"
	"time"

	"closewait_exporter/closewait"
)

// What Hands say of a process or a guard. Their errors wrap these.
var (
	ErrGone        = errors.New("the process has ended")
	ErrGuardDenied = errors.New("the guard denied") // it ended with another status than 0
	ErrGuardFailed = errors.New("the guard failed") // it could not be run, or gave no answer
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
	// Grab fails with ErrGone when the process has ended, or is another one by now.
	Grab(closewait.ProcessID) (Victim, error)
}

// Finder finds holders.
type Finder interface {
	// Holders looks afresh who has a descriptor for each of the sockets, in whatever state they are.
	Holders(context.Context, []*closewait.Socket) (Holders, error)
}

// Holders is who holds some sockets.
type Holders struct {
	Of       map[closewait.SocketID][]closewait.ProcessID // absent: nobody
	Complete bool                                         // every process could be looked into
}

// Guards are asked before something is done.
type Guards interface {
	// Run returns what the guard wrote, cut, and nil when it allows.
	Run(context.Context, Guard) (output string, err error)
}

// Guard is a command that allows what comes after it by exit status 0.
type Guard struct {
	Command  []string // the arguments can hold {pid}, {rule}, {group}
	Timeout  time.Duration
	PID      int
	Rule     string
	Group    string
	Evidence []byte            // JSON, for its stdin
	Env      map[string]string // further variables, named without CLOSEWAIT_
}

// Victim is a process that is held on to: what is done to it is done to no other, even when another
// one has got its pid. All of it fails with ErrGone once it has ended.
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
	Destroy(context.Context, []*closewait.Socket) (Toll, error)  // with a RST
	Shutdown(context.Context, []*closewait.Socket) (Toll, error) // with a FIN
}

// Toll counts what became of the sockets of a step.
type Toll struct {
	Done    int // cut
	Gone    int // not what they were any more, and left alone
	Defunct int // left alone, as there was nothing to cut
	Failed  int
}

// String tells of defunct sockets where there were some.
func (t Toll) String() string {
	text := fmt.Sprintf("%d cut, %d gone, %d failed", t.Done, t.Gone, t.Failed)
	if t.Defunct > 0 {
		text += fmt.Sprintf(", %d skipped: they are defunct, so there is nothing to cut", t.Defunct)
	}
	return text
}

// Signaller sends signals.
type Signaller interface {
	Signal(name string) error         // such as TERM
	ThreadDump(context.Context) error // of a JVM; it fails for anything else
}
