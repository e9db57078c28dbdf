package kernel

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

// openIterator loads the BPF iterators, and makes sure that what they say of a process is what /proc says:
// they know the pid namespace of the exporter, and start times of the host.
func (s *Scanner) openIterator() (err error) {
	if !s.host.PIDsAreOurs {
		return fmt.Errorf("%s is that of another pid namespace than the exporter's, and the pids of BPF are not", s.options.ProcFS)
	}
	if s.iterator, err = bpf.New(); err != nil {
		return err
	}
	if err = s.checkIterator(); err != nil {
		s.iterator.Close()
		s.iterator = nil
	}
	return err
}

// checkIterator looks for the exporter itself.
func (s *Scanner) checkIterator() error {
	pid := os.Getpid()
	dir, err := s.host.Proc.OpenPID(pid)
	if err != nil {
		return err
	}
	defer dir.Close()
	self, _, err := dir.ReadStat(nil)
	if err != nil {
		return err
	}
	found := errors.New("BPF does not see the exporter itself")
	malformed, err := s.iterator.Processes(context.Background(), func(p *bpf.Process) {
		switch {
		case int(p.Pid) != pid || p.Thread != p.Pid:
		case startOf(p.Start) != self.Start:
			found = fmt.Errorf("BPF says that the exporter started at tick %d and %s that it was %d: a time namespace", startOf(p.Start), s.options.ProcFS, self.Start)
		default:
			found = nil
		}
	})
	return errors.Join(err, found, errors.Join(malformed...))
}

// startOf turns the nanoseconds of BPF into the ticks of /proc/PID/stat.
func startOf(nanoseconds uint64) uint64 { return nanoseconds / uint64(host.ClockTick) }

// jiffy is the unit of the kernel's own times, 1 to 10 ms. The resolution of the coarse clocks is one
// (clock_getres(2)).
func jiffy() time.Duration {
	var resolution unix.Timespec
	if err := unix.ClockGetres(unix.CLOCK_MONOTONIC_COARSE, &resolution); err != nil || resolution.Nano() < 1 {
		return time.Millisecond // the least that there is, so that no age is too large
	}
	return time.Duration(resolution.Nano())
}
