package leaktest

import (
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"syscall"
	"testing"
)

// Where says in which namespaces and as which user a leaking program runs. The zero value is like
// the test itself. Anything else needs root; without root the test is skipped.
type Where struct {
	NetNS   bool   // in a new network namespace, which has only loopback
	NetNSOf int    // in the network namespace of this process; 0: of the test
	PIDNS   bool   // in a new pid namespace, as pid 1
	UID     int    // as this user and group, without capabilities; 0: as the test
	Program string // path of a copy of cmd/leak, for tests that match its path; empty: the path of Build
}

// Start starts `leak server` there, as the function Start does.
func (w Where) Start(t testing.TB, args ...string) *Leak {
	t.Helper()
	return w.StartMany(t, 1, args...)[0]
}

// StartMany starts n programs with the same flags in parallel, each in its own new namespaces where
// new ones are asked for.
func (w Where) StartMany(t testing.TB, n int, args ...string) []*Leak {
	t.Helper()
	if w != (Where{Program: w.Program}) {
		RequireRoot(t)
	}
	program := w.Program
	if program == "" {
		program = Build(t)
	}
	leaks := make([]*Leak, n)
	for i := range leaks {
		leaks[i] = &Leak{t: t, cmd: w.command(t, program, args), pidNS: w.PIDNS}
		if err := leaks[i].launch(); err != nil {
			t.Fatalf("start leak: %v", err)
		}
		t.Cleanup(leaks[i].Stop)
	}
	for _, l := range leaks {
		if err := l.begin(); err != nil {
			l.fail(fmt.Errorf("start leak %q: %w", args, err))
		}
	}
	return leaks
}

// begin waits for the first report and opens the processes.
func (l *Leak) begin() error {
	if err := l.receive(); err != nil {
		return err
	}
	for _, pid := range append(slices.Clone(l.Children), l.cmd.Process.Pid) {
		p, err := openProcess(pid)
		if err != nil {
			return err
		}
		l.family = append(l.family, p)
	}
	return nil
}

func (w Where) command(t testing.TB, program string, args []string) *exec.Cmd {
	args = append([]string{"server", "--exit-with-stdin"}, args...)
	var attr syscall.SysProcAttr
	if w.NetNS {
		attr.Cloneflags |= syscall.CLONE_NEWNET
		args = append(args, "--lo-up")
	}
	if w.PIDNS {
		attr.Cloneflags |= syscall.CLONE_NEWPID
	}
	if w.UID != 0 {
		attr.Credential = &syscall.Credential{Uid: uint32(w.UID), Gid: uint32(w.UID)}
	}
	if w.NetNSOf != 0 {
		enter := []string{"--net=/proc/" + strconv.Itoa(w.NetNSOf) + "/ns/net", "--", program}
		program, args = RequireProgram(t, "nsenter"), append(enter, args...)
	}
	cmd := exec.Command(program, args...)
	cmd.SysProcAttr = &attr
	return cmd
}
