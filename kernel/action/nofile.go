package action

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"closewait_exporter/kernel/host"
)

// RaiseNoFile raises the soft limit of open descriptors (RLIMIT_NOFILE), which gives a leaking
// process more time. It returns the soft limits before and after. The new limit is at most the hard
// limit, which does not change, so closewait.UnlimitedFDs asks for the maximum. A limit that is
// already high enough stays. It needs CAP_SYS_RESOURCE for processes of other users.
//
// prlimit(2) takes a pid, not a pidfd. RaiseNoFile checks that the process lives right before and
// right after the call. If the process has ended in between, another process with its pid may have
// got the limit; the error is closewait.ErrGone then.
func (h *ProcessHandle) RaiseNoFile(to uint64) (before, after uint64, err error) {
	limit, err := h.prlimit(nil)
	if err != nil {
		return 0, 0, err
	}
	raised := max(limit.Cur, min(to, limit.Max))
	if raised == limit.Cur {
		return limit.Cur, limit.Cur, nil
	}
	limit, err = h.prlimit(&unix.Rlimit{Cur: raised, Max: limit.Max})
	if err != nil {
		return 0, 0, err
	}
	return limit.Cur, raised, nil
}

// prlimit sets the limit, unless set is nil, and returns the limit before.
func (h *ProcessHandle) prlimit(set *unix.Rlimit) (before unix.Rlimit, err error) {
	err = h.requireAlive()
	if err == nil {
		err = host.GoneIfVanished(unix.Prlimit(h.id.PID, unix.RLIMIT_NOFILE, set, &before))
	}
	if err == nil {
		err = h.requireAlive()
	}
	if errors.Is(err, unix.EPERM) {
		err = fmt.Errorf("%w: for other users' processes it needs CAP_SYS_RESOURCE", err)
	}
	if err != nil {
		return unix.Rlimit{}, fmt.Errorf("limit of descriptors of process %d: %w", h.id.PID, err)
	}
	return before, nil
}
