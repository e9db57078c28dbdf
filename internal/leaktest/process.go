package leaktest

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"closewait_exporter/internal/leaktest/truth"
)

// process is a process that need not be our child. The pidfd excludes that its pid is used again.
type process struct{ pid, fd int }

func openProcess(pid int) (process, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return process{}, fmt.Errorf("open process %d: %w", pid, err)
	}
	return process{pid, fd}, nil
}

func (p process) kill() {
	_ = unix.PidfdSendSignal(p.fd, unix.SIGKILL, nil, 0) // ESRCH if it has ended already
}

// awaitEnd returns when the process has ended; its parent may still have to reap it.
func (p process) awaitEnd() error {
	defer unix.Close(p.fd)
	for deadline := time.Now().Add(maxWait); ; {
		left := max(time.Until(deadline), 0)
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(p.fd), Events: unix.POLLIN}}, int(left.Milliseconds()))
		switch {
		case n > 0:
			return nil
		case err != nil && !errors.Is(err, unix.EINTR):
			return fmt.Errorf("wait for process %d: %w", p.pid, err)
		case left == 0:
			return fmt.Errorf("process %d is still there %v after SIGKILL", p.pid, maxWait)
		}
	}
}

// translatePIDs replaces the pids of the program's pid namespace by ours.
func (l *Leak) translatePIDs(s truth.State) truth.State {
	if !l.pidNS {
		return s
	}
	pids := pidsInside(l.cmd.Process.Pid)
	translate := func(inside []int) {
		for i, pid := range inside {
			inside[i] = pids[pid]
		}
	}
	s.PID = pids[s.PID]
	translate(s.Children)
	for i := range s.Sockets {
		translate(s.Sockets[i].Holders)
	}
	return s
}

// pidsInside maps the pids in the pid namespace of a process to the pids in ours.
func pidsInside(pid int) map[int]int {
	pids := map[int]int{}
	dirs, _ := os.ReadDir("/proc") // an unknown pid becomes 0, which fails every test
	for _, dir := range dirs {
		outer, err := strconv.Atoi(dir.Name())
		if err != nil || !sameNamespace(pid, outer, "pid") {
			continue
		}
		status, _ := os.ReadFile("/proc/" + dir.Name() + "/status") // empty if the process has ended
		for line := range strings.Lines(string(status)) {
			fields := strings.Fields(line)
			if len(fields) > 1 && fields[0] == "NSpid:" {
				inner, _ := strconv.Atoi(fields[len(fields)-1])
				pids[inner] = outer
			}
		}
	}
	return pids
}

func sameNamespace(a, b int, kind string) bool {
	links := make([]string, 0, 2)
	for _, pid := range []int{a, b} {
		link, err := os.Readlink("/proc/" + strconv.Itoa(pid) + "/ns/" + kind)
		if err != nil {
			return false
		}
		links = append(links, link)
	}
	return len(slices.Compact(links)) == 1
}
