package action

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
	e := newExecutor(t)
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
			before, after, err := openHandle(t, e, pid).RaiseNoFile(c.to)
			if err != nil || before != c.soft || after != c.after {
				t.Errorf("from %d to %d, %v, want from %d to %d", before, after, err, c.soft, c.after)
			}
			var is unix.Rlimit
			if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &is); err != nil || is != (unix.Rlimit{Cur: c.after, Max: c.hard}) {
				t.Errorf("it is %v, %v", is, err)
			}
		})
	}
}

func TestTheLimitOfAnEndedProcessIsNotRaised(t *testing.T) {
	e := newExecutor(t)
	cmd := startSleep(t)
	h := openHandle(t, e, cmd.Process.Pid)
	if err := h.Signal("KILL"); err != nil {
		t.Fatal(err)
	}
	awaitEnd(t, h)
	if _, _, err := h.RaiseNoFile(closewait.UnlimitedFDs); !errors.Is(err, closewait.ErrGone) {
		t.Errorf("%v, want %v", err, closewait.ErrGone)
	}
}

// TestWhatIsNotPermittedIsDeniedAndNamesTheCapability acts on the process of another user from a
// thread that has lost one capability.
func TestWhatIsNotPermittedIsDeniedAndNamesTheCapability(t *testing.T) {
	e := newExecutor(t)
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
	h := openHandle(t, e, cmd.Process.Pid)
	p := newTarget(t, places[0])
	for _, c := range []struct {
		capability uint
		do         func() error
	}{
		{unix.CAP_KILL, func() error { return h.Signal("KILL") }},
		{unix.CAP_SYS_RESOURCE, func() error { return errorOf3(h.RaiseNoFile(closewait.UnlimitedFDs)) }},
		{unix.CAP_NET_ADMIN, func() error {
			var counts socketCounts
			_ = counts.destroy(t.Context(), []*closewait.Socket{p.socket})
			return counts.failure
		}},
	} {
		name := capabilityNames[c.capability]
		t.Run(name, func(t *testing.T) {
			onOwnThread(func() {
				if err := dropCapabilities(c.capability); err != nil {
					t.Error(err)
				} else if err := c.do(); !host.Denied(err) || !contains(err, name) {
					t.Errorf("%v, want a denial that says what is missing", err)
				}
			})
		})
	}
	requireUntouched(t, p.peer)
	expectNoExit(t, h)
}
