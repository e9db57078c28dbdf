package main

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"closewait_exporter/internal/leaktest"
	"closewait_exporter/internal/leaktest/truth"
)

func TestCommands(t *testing.T) {
	l := leaktest.Where{NetNS: true}.Start(t, "--sockets=4", "--unaccepted=3", "--outbound=1", "--unread=fin", "--unread=10")
	steps := []struct {
		command            string
		leaked, unaccepted int
	}{
		{"state", 5, 3},
		{"leak 2", 7, 3},
		{"accept 2", 9, 1},
		{"close 6", 3, 1},
		{"close 0", 3, 1},
		{"read", 3, 1},
		{"accept 1", 4, 0},
		{"close 4", 0, 0},
		{"leak 1", 1, 0},
	}
	for _, step := range steps {
		st := l.Do(step.command)
		if st.Leaked != step.leaked || st.Unaccepted != step.unaccepted {
			t.Errorf("after %q: %d leaked, %d unaccepted, want %d, %d", step.command, st.Leaked, st.Unaccepted, step.leaked, step.unaccepted)
		}
		requireAgreement(t, l)
	}
}

func TestCloseTakesTheOldest(t *testing.T) {
	l := leaktest.Start(t, "--sockets=3")
	youngest := l.Sockets[2]
	if l.Do("close 2"); len(l.Sockets) != 1 || l.Sockets[0].Cookie != youngest.Cookie {
		t.Errorf("left: %+v, want %+v", l.Sockets, youngest)
	}
}

func TestCloseLeavesTheSocketsOfChildren(t *testing.T) {
	l := leaktest.Where{NetNS: true}.Start(t, "--sockets=2", "--children=1")
	if l.Do("close 2"); l.Leaked != 2 {
		t.Errorf("%d are leaked after the parent has closed, want 2", l.Leaked)
	}
	requireAgreement(t, l)
}

func TestResetMakesTheOldestClosed(t *testing.T) {
	l := leaktest.Where{NetNS: true}.Start(t, "--sockets=3", "--outbound=1", "--closed=1", "--children=1", "--unread=fin", "--unread=10")
	for _, step := range []struct {
		command               string
		leaked, closed, holds int // holds: descriptors of closed sockets that are ours
	}{
		{"state", 4, 1, 1},
		{"reset 3", 1, 4, 4},
		{"discard 2", 1, 3, 2}, // one stays with the child; the other was never in CLOSE_WAIT, so the child has not inherited it
		{"reset 1", 0, 4, 3},
		{"discard 3", 0, 4, 0},
	} {
		l.Do(step.command)
		holds := 0
		for _, s := range l.Sockets {
			if s.Kind == truth.Closed && slices.Contains(s.Holders, l.PID) {
				holds++
			}
		}
		if l.Leaked != step.leaked || l.Closed != step.closed || holds != step.holds {
			t.Errorf("after %q: %d leaked, %d closed, %d of them ours, want %d, %d, %d", step.command, l.Leaked, l.Closed, holds, step.leaked, step.closed, step.holds)
		}
		requireAgreement(t, l)
	}
	if rows := l.SS("all"); len(rows) > 2 { // the listeners
		t.Errorf("ss sees %+v", rows)
	}
	for _, s := range l.Sockets {
		if s.Was != truth.Inbound && s.Was != truth.Outbound {
			t.Errorf("was %q in CLOSE_WAIT", s.Was)
		}
	}
}

func TestReadLeavesNothing(t *testing.T) {
	l := leaktest.Where{NetNS: true}.Start(t, "--sockets=2", "--unread=500")
	l.Do("read")
	for _, row := range requireAgreement(t, l) {
		if row.RecvQ != 0 {
			t.Errorf("%d bytes are unread: %+v", row.RecvQ, row)
		}
	}
}

func TestRateLeaksOn(t *testing.T) {
	l := leaktest.Where{NetNS: true}.Start(t, "--rate=100", "--sockets=1")
	leaktest.Eventually(t, maxWait, func() (bool, string) {
		st := l.Do("state")
		return st.Leaked > 20, fmt.Sprintf("%d sockets", st.Leaked)
	})
	if l.Exhausted != 0 {
		t.Errorf("out of descriptors %d times, with a few sockets", l.Exhausted)
	}
}

func TestRateRunsOnWithoutDescriptorsAndSaysSo(t *testing.T) {
	l := leaktest.Where{NetNS: true}.Start(t, "--rate=1000", "--nofile=40")
	var before truth.State
	leaktest.Eventually(t, maxWait, func() (bool, string) {
		st := l.Do("state")
		stuck := st.Leaked > 20 && st.Leaked == before.Leaked && st.Exhausted > before.Exhausted
		before = st
		return stuck, fmt.Sprintf("%d sockets, still growing; %d times out of descriptors", st.Leaked, st.Exhausted)
	})
}

func TestCommandsMayShareALine(t *testing.T) {
	l := leaktest.Start(t, "--sockets=3")
	before := l.Sockets
	if l.Do("close 2; leak 1"); l.Leaked != 2 || l.Sockets[0].Cookie != before[2].Cookie {
		t.Errorf("left: %+v, want the youngest of %+v and a new one", l.Sockets, before)
	}
}

func TestSlowReadersKeepTheSendQueueFull(t *testing.T) {
	l := leaktest.Where{NetNS: true}.Start(t, "--slow-readers=2")
	for range 3 {
		l.Do("state")
		rows := l.SS()
		if len(rows) != 2 || rows[0].SendQ == 0 || rows[1].SendQ == 0 || !rows[0].HeldBy(l.PID) {
			t.Errorf("ss sees %+v, want two sockets with a send queue", rows)
		}
	}
}

func TestStreamsMove(t *testing.T) {
	l := leaktest.Where{NetNS: true}.Start(t, "--stream=2")
	first := l.SS()
	leaktest.Eventually(t, maxWait, func() (bool, string) {
		rows := l.SS()
		if len(rows) != 2 {
			return false, fmt.Sprintf("ss sees %d sockets, want 2", len(rows))
		}
		moved := rows[0].BytesSent > first[0].BytesSent && rows[1].BytesSent > first[1].BytesSent
		return moved, fmt.Sprintf("bytes sent: %d, %d", rows[0].BytesSent, rows[1].BytesSent)
	})
}

func TestChurnPassesThroughCloseWait(t *testing.T) {
	l := leaktest.Where{NetNS: true}.Start(t, "--churn=500")
	cookies := map[uint64]bool{}
	leaktest.Eventually(t, maxWait, func() (bool, string) {
		for _, row := range l.SS() {
			cookies[row.Cookie] = true
		}
		return len(cookies) > 30, fmt.Sprintf("%d different sockets were in CLOSE_WAIT", len(cookies))
	})
}

func TestManySockets(t *testing.T) {
	l := leaktest.Where{NetNS: true}.Start(t, "--sockets=4000")
	if rows := l.SS(); len(rows) != 4000 || l.Leaked != 4000 || l.Sockets != nil {
		t.Errorf("ss sees %d, leak reports %d and lists %d; want 4000, 4000 and no list", len(rows), l.Leaked, len(l.Sockets))
	}
}

func TestMistakesAreExplained(t *testing.T) {
	program := leaktest.Build(t)
	tests := []struct{ flags, want string }{
		{"server --sockets=-1", "--sockets=-1: give 0 or more"},
		{"server --rate=NaN", "--rate and --churn: give 0 or more"},
		{"server --unaccepted=3001", "the accept queue takes 3000"},
		{"server --unread=much", "give none, fin or a number of bytes"},
		{"server --unread=32769", "from 1 to 32768"},
		{"server --listen=localhost", "give an address and a port"},
		{"server --connect=localhost", "give an address"},
		{`server --comm=\q`, "write it as in a Go string"},
		{`server --comm=a\x00b`, "without a NUL"},
		{"server --pass --in-flight", "a socket can be sent away once"},
		{"server --in-flight --hand-over=/x", "a socket can be sent away once"},
		{"server --sockets=1 --hand-over=/nonexistent", "no such file or directory"},
		{"server --receive=/nonexistent/socket", "no such file or directory"},
		{"server --sockets=100 --nofile=50", "raise the limit"},
		{"server --listen=192.0.2.1:0", "cannot assign requested address"},
		{"serve", "see leak --help"},
	}
	for _, tt := range tests {
		t.Run(tt.flags, func(t *testing.T) {
			out, err := exec.Command(program, strings.Fields(tt.flags)...).CombinedOutput()
			if err == nil || !strings.Contains(string(out), tt.want) {
				t.Errorf("output %q (%v), want %q", out, err, tt.want)
			}
		})
	}
}

func TestWrongCommandsAreAnswered(t *testing.T) {
	program := leaktest.Build(t)
	tests := []struct{ command, want string }{
		{"jump", "unknown command"},
		{"close", "give a number of sockets"},
		{"close -1", "give a number of sockets"},
		{"close 2", "1 sockets are leaked and ours"},
		{"accept 1", "0 connections wait to be accepted"},
	}
	for _, tt := range tests {
		t.Run(tt.command, func(t *testing.T) {
			cmd := exec.Command(program, "server", "--sockets=1", "--exit-with-stdin")
			cmd.Stdin = strings.NewReader(tt.command + "\n")
			out, err := cmd.CombinedOutput()
			if err != nil || !strings.Contains(string(out), tt.want) || !strings.Contains(string(out), `"leaked":1`) {
				t.Errorf("answer %s (%v), want %q and an unchanged state", out, err, tt.want)
			}
		})
	}
}
