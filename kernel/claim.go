package kernel

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel/host"
)

// BootID names this run of the kernel: start times and cookies mean nothing in another one.
func (h *Hands) BootID() (string, error) {
	id, err := h.host.Proc.Read("sys/kernel/random/boot_id", nil)
	if err != nil {
		return "", fmt.Errorf("read boot id: %w", err)
	}
	return strings.TrimSpace(string(id)), nil
}

// Uptime is for how long the kernel runs, suspended time included (CLOCK_BOOTTIME).
func (h *Hands) Uptime() (time.Duration, error) {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now); err != nil {
		return 0, fmt.Errorf("read uptime: %w", err)
	}
	return time.Duration(now.Nano()), nil
}

// Ancestors returns this process, its parent, and so on up to the first process of the host or of
// the pid namespace.
func (h *Hands) Ancestors() ([]closewait.ProcessID, error) {
	list, err := h.ancestorsOf(os.Getpid())
	if err != nil {
		return nil, fmt.Errorf("find own ancestors: %w", err)
	}
	return list, nil
}

func (h *Hands) ancestorsOf(pid int) ([]closewait.ProcessID, error) {
	var list []closewait.ProcessID
	for next := pid; next > 0; { // the parent of the first one is 0
		data, err := h.host.Proc.Read(strconv.Itoa(next)+"/stat", nil)
		if host.Vanished(err) && next != pid {
			return h.ancestorsOf(pid) // it has ended meanwhile: its child has another parent now
		}
		if err != nil {
			return nil, err
		}
		st, err := host.ParseStat(data)
		if err != nil {
			return nil, fmt.Errorf("stat of process %d: %w", next, err)
		}
		list = append(list, closewait.ProcessID{PID: next, Start: st.Start})
		next = st.Parent
	}
	return list, nil
}

// ErrClaimed says that another process acts on this host already.
var ErrClaimed = errors.New("another reaper acts on this host")

// Claim is the right to act on the processes of a host, which one process has at a time.
type Claim struct{ namespace *os.File }

// Claim takes the right to act, or fails with ErrClaimed. It is a lock (flock(2)) on the pid
// namespace itself: containers with file systems of their own share that too when they
// act on the same processes. The kernel releases it when the process ends, however it ends.
func (h *Hands) Claim() (*Claim, error) {
	namespace, err := os.Open("/proc/self/ns/pid")
	if err != nil {
		return nil, fmt.Errorf("claim this host: %w", err)
	}
	err = control(namespace, func(fd int) error { return unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) })
	if err != nil {
		namespace.Close()
	}
	switch {
	case errors.Is(err, unix.EWOULDBLOCK):
		return nil, fmt.Errorf("%w: %s holds the lock on %s: stop it, or leave out --reaper.enforce here", ErrClaimed, h.claimant(), namespace.Name())
	case err != nil:
		return nil, fmt.Errorf("claim this host: %w", err)
	}
	return &Claim{namespace}, nil
}

// Release gives the claim up.
func (c *Claim) Release() { c.namespace.Close() }

// claimant finds in /proc/locks who holds the lock: "1: FLOCK  ADVISORY  WRITE 11031 00:04:4026531836 0 EOF".
func (h *Hands) claimant() string {
	const kind, pid, file = 1, 4, 5
	var st unix.Stat_t
	locks, err := h.host.Proc.Read("locks", nil)
	if err != nil || unix.Stat("/proc/self/ns/pid", &st) != nil {
		return "a process"
	}
	for line := range strings.Lines(string(locks)) {
		fields := strings.Fields(line)
		if len(fields) > file && fields[kind] == "FLOCK" && strings.HasSuffix(fields[file], fmt.Sprintf(":%d", st.Ino)) {
			return "process " + fields[pid]
		}
	}
	return "a process"
}
