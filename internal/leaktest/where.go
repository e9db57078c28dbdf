package leaktest

import (
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"syscall"
	"testing"
)

// Where tells in which namespaces and as whom a leaking program runs. The zero value is: as the test
// itself. Anything else needs root; the test is skipped without.
type Where struct {
	NetNS   bool   // in a new network namespace, where nothing but loopback is
	NetNSOf int    // in the network namespace of this process; 0: of the test
	PIDNS   bool   // in a new pid namespace, where it is pid 1
	UID     int    // as this user and group, without capabilities; 0: as the test
	Program string // path of a copy of cmd/leak, for who tells programs apart by it; empty: that of Build
}

// Start starts `leak server` there, as the function Start does.
func (w Where) Start(t testing.TB, args ...string) *Leak {
	t.Helper()
	return w.StartMany(t, 1, args...)[0]
}

// StartMany starts so many programs with the same flags side by side, each in new namespaces of its
// own where new ones are asked for.
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

// begin waits for the first state and takes hold of the processes.
func (l *Leak) begin() error {
	if err := l.listen(); err != nil {
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
