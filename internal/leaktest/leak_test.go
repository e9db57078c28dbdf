package leaktest

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

func TestLeakRunsWhereItIsToldTo(t *testing.T) {
	RequireRoot(t)
	first := Where{NetNS: true}.Start(t)
	tests := []struct {
		name       string
		where      Where
		net, pid   bool // in our namespaces?
		netOfFirst bool
		uid        string
	}{
		{name: "as the test itself", net: true, pid: true, uid: "0"},
		{name: "in a network namespace", where: Where{NetNS: true}, pid: true, uid: "0"},
		{name: "in the network namespace of another process", where: Where{NetNSOf: first.PID}, netOfFirst: true, pid: true, uid: "0"},
		{name: "in a pid namespace", where: Where{PIDNS: true}, net: true, uid: "0"},
		{name: "as another user", where: Where{UID: 65534}, net: true, pid: true, uid: "65534"},
		{name: "in both namespaces", where: Where{NetNS: true, PIDNS: true}, uid: "0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := tt.where.Start(t, "--sockets=2", "--children=2")
			self := os.Getpid()
			for _, pid := range append(l.Children, l.PID) {
				if got := sameNamespace(self, pid, "net"); got != tt.net {
					t.Errorf("process %d is in our network namespace: %v", pid, got)
				}
				if got := sameNamespace(first.PID, pid, "net"); got != tt.netOfFirst {
					t.Errorf("process %d is in the network namespace of the first: %v", pid, got)
				}
				if got := sameNamespace(self, pid, "pid"); got != tt.pid {
					t.Errorf("process %d is in our pid namespace: %v", pid, got)
				}
				status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
				if err != nil || !strings.Contains(string(status), "Uid:\t"+tt.uid+"\t") {
					t.Errorf("process %d is not of user %s: %s %v", pid, tt.uid, status, err)
				}
			}
			for _, s := range l.Sockets {
				if len(s.Holders) != 3 {
					t.Errorf("held by %v, want three", s.Holders)
				}
			}
			held := 0
			for _, row := range SS(t, l.PID) {
				if row.HeldBy(l.PID) && row.HeldBy(l.Children[0]) && row.HeldBy(l.Children[1]) {
					held++
				}
			}
			if held != 2 {
				t.Errorf("ss sees %d sockets of the three processes, want 2", held)
			}
		})
	}
}

func TestManyLeaksRunInParallel(t *testing.T) {
	pids := map[int]bool{}
	for _, l := range (Where{NetNS: true}).StartMany(t, 3, "--sockets=2") {
		pids[l.PID] = true
		if rows := l.SS(); len(rows) != 2 || !rows[0].HeldBy(l.PID) {
			t.Errorf("process %d: ss lists %+v, want its two sockets", l.PID, rows)
		}
	}
	if len(pids) != 3 {
		t.Errorf("pids %v, want three", pids)
	}
}

func TestStopLeavesNothing(t *testing.T) {
	tests := []struct {
		name  string
		flags []string
		sig   syscall.Signal // sent before
	}{
		{name: "of a plain program"},
		{name: "of a program with children", flags: []string{"--children=2", "--pass"}},
		{name: "of a program that ignores SIGTERM", flags: []string{"--ignore-sigterm"}, sig: syscall.SIGTERM},
		{name: "of a stopped program", flags: []string{"--children=1"}, sig: syscall.SIGSTOP},
		{name: "of a killed program", flags: []string{"--children=1"}, sig: syscall.SIGKILL},
		{name: "of a program whose main thread has ended", flags: []string{"--zombie-leader"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := Start(t, append(tt.flags, "--sockets=1")...)
			if tt.sig != 0 {
				l.Signal(tt.sig)
			}
			l.Stop()
			for _, pid := range append(l.Children, l.PID) {
				requireEnded(t, pid)
			}
		})
	}
}

// TestEndOfStdinEndsAll closes stdin, as the death of a test binary does.
func TestEndOfStdinEndsAll(t *testing.T) {
	l := Start(t, "--sockets=1", "--children=2", "--pass")
	l.stdin.Close()
	for _, pid := range append(l.Children, l.PID) {
		requireEnded(t, pid)
	}
}

// TestChildrenEndWithTheirParent runs the program as a person does at a shell.
func TestChildrenEndWithTheirParent(t *testing.T) {
	cmd := exec.Command(Build(t), "server", "--sockets=1", "--children=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 4096)
	n, err := out.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	var child int
	if _, after, _ := strings.Cut(string(line[:n]), `"children":[`); after != "" {
		fmt.Sscan(after, &child)
	}
	if child == 0 {
		t.Errorf("no child in %s", line[:n])
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	requireEnded(t, child)
}

func requireEnded(t *testing.T, pid int) {
	t.Helper()
	Eventually(t, maxWait, func() (bool, string) {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		return os.IsNotExist(err) || strings.Contains(string(stat), ") Z "), fmt.Sprintf("process %d is still there: %s", pid, stat)
	})
}
