package action

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"closewait_exporter/kernel/host"
)

// RaiseNoFile raises the soft limit of open descriptors (RLIMIT_NOFILE), which gives a leaking
// process more time. It returns the soft limits before and after. The hard limit bounds it and is
// not changed, so closewait.UnlimitedFDs asks for the maximum. A limit that is already high enough
// stays. It needs CAP_SYS_RESOURCE for processes of other users.
//
// prlimit(2) knows no pidfd. The process is known to live right before and after the call; a
// process that had its pid in between would have got the same limits, and the error is ErrGone
// then.
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

// prlimit sets a limit, unless that is nil, and returns the limit before.
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
