package scan

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"closewait_exporter/kernel/bpf"
	"closewait_exporter/kernel/host"
)

// openIterator loads the BPF iterators, and checks that they agree with /proc about processes:
// they report pids of the pid namespace of this process, and start times of the host.
func openIterator(h *host.Host) (*bpf.Iterator, error) {
	if !h.PIDsAreOurs {
		return nil, fmt.Errorf("%s shows another pid namespace: BPF reports the pids of the namespace of this process", h.Path)
	}
	iterator, err := bpf.New()
	if err != nil {
		return nil, err
	}
	if err := checkIterator(h, iterator); err != nil {
		iterator.Close()
		return nil, err
	}
	return iterator, nil
}

// checkIterator compares the start time of this process according to BPF and to /proc.
func checkIterator(h *host.Host, iterator *bpf.Iterator) error {
	pid := os.Getpid()
	dir, err := h.Proc.OpenPID(pid)
	if err != nil {
		return err
	}
	defer dir.Close()
	self, _, err := dir.ReadStat(nil)
	if err != nil {
		return err
	}
	found := errors.New("BPF does not see the exporter itself")
	malformed, err := iterator.Processes(context.Background(), func(p *bpf.Process) {
		switch {
		case int(p.Pid) != pid || p.Thread != p.Pid:
		case startOf(p.Start) != self.Start:
			found = fmt.Errorf("the exporter started at tick %d according to BPF and at tick %d according to %s: it runs in a time namespace", startOf(p.Start), self.Start, h.Path)
		default:
			found = nil
		}
	})
	return errors.Join(err, found, errors.Join(malformed...))
}

// startOf converts the start time of a process in a record, in nanoseconds, to the ticks of
// /proc/PID/stat.
func startOf(nanoseconds uint64) uint64 { return nanoseconds / uint64(host.ClockTick) }

// jiffy returns the unit of the kernel's own times, 1 to 10 ms, which is the resolution of the
// coarse clocks (clock_getres(2)).
func jiffy() time.Duration {
	var resolution unix.Timespec
	if err := unix.ClockGetres(unix.CLOCK_MONOTONIC_COARSE, &resolution); err != nil || resolution.Nano() < 1 {
		return time.Millisecond // the minimum, so that no age is too large
	}
	return time.Duration(resolution.Nano())
}
