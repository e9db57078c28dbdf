package e2e

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"slices"
	"syscall"
	"testing"
	"time"

	"closewait_exporter/internal/leaktest"
)

// listing is the part of the output of list --output=json --sockets that is tested here.
type listing struct {
	Taken     time.Time
	Host      struct{ Sockets map[string]map[string]int }
	Processes []listedProcess
	Sockets   []listedSocket

	stderr string
}

type listedProcess struct {
	PID     int
	Sockets int
	Shared  int

	Keepalive int
	Unread    map[string]int
	Services  []struct {
		Direction string
		Port      uint16
		Sockets   int
	}
	OldestSeconds  float64 `json:"oldest_seconds"`
	RecvQueueBytes uint64  `json:"recv_queue_bytes"`
	Addresses      int     `json:"remote_addresses"`
	Trend          *struct {
		OverSeconds      float64  `json:"over_seconds"`
		SocketsPerSecond *float64 `json:"sockets_per_second"`
		LeftSeconds      *float64 `json:"left_seconds"`
	} // nil without --watch
}

type listedSocket struct {
	Local, Remote     string
	State             string
	Direction, Unread string
	Owner             string
	AgeSeconds        float64  `json:"age_seconds"`
	QuietSeconds      *float64 `json:"quiet_seconds"`
	Cookie            string
	Holders           []struct{ PID int }
}

func (s *listedSocket) heldBy(pid int) bool {
	return slices.ContainsFunc(s.Holders, func(h struct{ PID int }) bool { return h.PID == pid })
}

// list runs the list command.
func list(t testing.TB, args ...string) listing {
	t.Helper()
	return listAs(t, &syscall.SysProcAttr{}, leaktest.WithScanner(args...)...)
}

// listAs is list with other privileges.
func listAs(t testing.TB, attr *syscall.SysProcAttr, args ...string) listing {
	t.Helper()
	out, stderr := listOutput(t, attr, append([]string{"--output=json", "--sockets"}, args...)...)
	l := listing{stderr: stderr}
	if err := json.Unmarshal(out, &l); err != nil {
		t.Fatalf("list: %v\n%s", err, out)
	}
	return l
}

// listOutput runs the list command and returns what it writes.
func listOutput(t testing.TB, attr *syscall.SysProcAttr, args ...string) (stdout []byte, stderr string) {
	t.Helper()
	cmd := exec.Command(program(t), append([]string{"list"}, args...)...)
	cmd.SysProcAttr = attr
	var notes bytes.Buffer
	cmd.Stderr = &notes
	stdout, err := cmd.Output()
	if err != nil {
		t.Fatalf("list: %v\n%s", err, &notes)
	}
	return stdout, notes.String()
}

// process returns the entry of a process; there must be exactly one.
func (l listing) process(t testing.TB, pid int) listedProcess {
	t.Helper()
	var found []listedProcess
	for _, p := range l.Processes {
		if p.PID == pid {
			found = append(found, p)
		}
	}
	if len(found) != 1 {
		t.Fatalf("process %d is listed %d times, want once: %+v", pid, len(found), l.Processes)
	}
	return found[0]
}

// sockets is the number of ended sockets that a process holds; 0 if it is not listed.
func (l listing) sockets(pid int) int {
	for _, p := range l.Processes {
		if p.PID == pid {
			return p.Sockets
		}
	}
	return 0
}

// socketsOf returns the sockets that a process holds.
func (l listing) socketsOf(pid int) []listedSocket {
	var held []listedSocket
	for _, s := range l.Sockets {
		if s.heldBy(pid) {
			held = append(held, s)
		}
	}
	return held
}
