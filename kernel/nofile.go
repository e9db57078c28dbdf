package kernel

import (
	"errors"
	"fmt"

	"closewait_exporter/kernel/host"

	"golang.org/x/sys/unix"
)

// NoFile is RLIMIT_NOFILE, the limit of open descriptors; closewait.UnlimitedFDs is none.
type NoFile struct{ Soft, Hard uint64 }

// RaiseNoFile raises the soft limit of open descriptors, which buys a leaking process time. The hard
// limit stays and bounds it, so that closewait.UnlimitedFDs asks for as much as there is. A limit
// that is high enough already is left alone. It needs CAP_SYS_RESOURCE for processes of other users.
//
// prlimit(2) knows no pidfd. The process is known to live right before and after the call; one that
// got its pid in between would have been given the same limits, and the error is ErrGone then.
func (g *Grip) RaiseNoFile(to uint64) (before, after NoFile, err error) {
	if before, err = g.prlimit(nil); err != nil {
		return before, before, err
	}
	after = NoFile{Soft: max(before.Soft, min(to, before.Hard)), Hard: before.Hard}
	if after == before {
		return before, after, nil
	}
	before, err = g.prlimit(&unix.Rlimit{Cur: after.Soft, Max: after.Hard})
	if err != nil {
		return before, before, err
	}
	return before, after, nil
}

// prlimit reads the limit and, unless it is nil, sets another one.
func (g *Grip) prlimit(set *unix.Rlimit) (NoFile, error) {
	err := g.alive()
	var old unix.Rlimit
	if err == nil {
		err = host.GoneIfVanished(unix.Prlimit(g.id.PID, unix.RLIMIT_NOFILE, set, &old))
	}
	if err == nil {
		err = g.alive()
	}
	if errors.Is(err, unix.EPERM) {
		err = fmt.Errorf("%w: for other users' processes it needs CAP_SYS_RESOURCE", err)
	}
	if err != nil {
		return NoFile{}, fmt.Errorf("limit of descriptors of process %d: %w", g.id.PID, err)
	}
	return NoFile{old.Cur, old.Max}, nil
}
