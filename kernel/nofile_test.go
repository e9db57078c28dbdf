package kernel

import (
	"errors"
	"os/exec"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel/host"
)

func TestTheLimitOfDescriptorsIsRaisedAndNeverLowered(t *testing.T) {
	h := newHands(t)
	for _, c := range []struct {
		name                  string
		soft, hard, to, after uint64
	}{
		{"to the hard limit", 100, 500, closewait.UnlimitedFDs, 500},
		{"to a number", 100, 500, 300, 300},
		{"not above the hard limit", 100, 500, 501, 500},
		{"not when it is high enough", 400, 500, 300, 400},
		{"not when it is at the hard limit", 500, 500, closewait.UnlimitedFDs, 500},
	} {
		t.Run(c.name, func(t *testing.T) {
			pid := startSleep(t).Process.Pid
			if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: c.soft, Max: c.hard}, nil); err != nil {
				t.Fatal(err)
			}
			before, after, err := grab(t, h, pid).RaiseNoFile(c.to)
			if err != nil || before != (NoFile{c.soft, c.hard}) || after != (NoFile{c.after, c.hard}) {
				t.Errorf("from %v to %v, %v", before, after, err)
			}
			var is unix.Rlimit
			if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &is); err != nil || is != (unix.Rlimit{Cur: c.after, Max: c.hard}) {
				t.Errorf("it is %v, %v", is, err)
			}
		})
	}
}

func TestTheLimitOfAnEndedProcessIsNotRaised(t *testing.T) {
	h := newHands(t)
	cmd := startSleep(t)
	g := grab(t, h, cmd.Process.Pid)
	if err := g.Signal("KILL"); err != nil {
		t.Fatal(err)
	}
	awaitEnd(t, g)
	if _, _, err := g.RaiseNoFile(closewait.UnlimitedFDs); !errors.Is(err, closewait.ErrGone) {
		t.Errorf("%v, want %v", err, closewait.ErrGone)
	}
}

// TestWhatIsNotPermittedIsDeniedAndNamesTheCapability acts on the process of another user from a
// thread that has lost one capability.
func TestWhatIsNotPermittedIsDeniedAndNamesTheCapability(t *testing.T) {
	h := newHands(t)
	cmd := exec.Command("sh", "-c", "ulimit -Sn 100 && exec sleep 1000")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	awaitComm(t, cmd.Process.Pid, "sleep")
	g := grab(t, h, cmd.Process.Pid)
	v := newVictim(t, places[0])
	for _, c := range []struct {
		capability uint
		do         func() error
	}{
		{unix.CAP_KILL, func() error { return g.Signal("KILL") }},
		{unix.CAP_SYS_RESOURCE, func() error { return third(g.RaiseNoFile(closewait.UnlimitedFDs)) }},
		{unix.CAP_NET_ADMIN, func() error {
			var counts socketCounts
			_ = counts.destroy(t.Context(), []*closewait.Socket{v.socket})
			return counts.failure
		}},
	} {
		name := capabilityNames[c.capability]
		t.Run(name, func(t *testing.T) {
			onThread(func() {
				if err := drop(c.capability); err != nil {
					t.Error(err)
				} else if err := c.do(); !host.Denied(err) || !mentions(err, name) {
					t.Errorf("%v, want a denial that says what is missing", err)
				}
			})
		})
	}
	stillOpen(t, v.peer)
	staysAlive(t, g)
}
