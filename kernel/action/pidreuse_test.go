package action

import (
	"errors"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"closewait_exporter/closewait"
	"closewait_exporter/internal/hosttest"
	"closewait_exporter/internal/leaktest"
	"closewait_exporter/kernel/fdscan"
)

// insideVariable tells the test below that it runs in its own pid namespace.
const insideVariable = "KERNEL_TEST_PID_REUSE"

// TestNoOtherProcessIsHitWhenPidsAreUsedAgain acts on a process as a ladder does, and has it end
// and its pid go to another process at any moment in between. Thousands of rounds run in a few
// seconds; CLOSEWAIT_LONG=1 runs ten thousand for sure.
func TestNoOtherProcessIsHitWhenPidsAreUsedAgain(t *testing.T) {
	if os.Getenv(insideVariable) != "" {
		testPidReuse(t)
		return
	}
	leaktest.RequireRoot(t)
	cmd := exec.Command("/proc/self/exe", "-test.v", "-test.run=^TestNoInnocentProcessIsHitWhenPidsAreUsedAgain$")
	cmd.Env = append(os.Environ(), insideVariable+"=1", hosttest.Bare)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWNET, Pdeathsig: unix.SIGKILL}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}

// moment is when the victim ends and its pid is used again.
type moment int

const (
	beforeOpen moment = iota
	beforeVerify
	beforeAction
	meanwhile // at the same time as all of it
	moments
)

func testPidReuse(t *testing.T) {
	const most, atMost = 10_000, 6 * time.Second
	r := newPIDReuse(t)
	for began := time.Now(); r.rounds < most; r.rounds++ {
		if os.Getenv("CLOSEWAIT_LONG") == "" && time.Since(began) > atMost {
			break
		}
		r.round(t, moment(r.rounds)%moments, r.act)
	}
	if r.wronglyHit > 0 || r.reused < r.rounds*9/10 {
		t.Errorf("%d innocent processes hit in %d rounds, the pid was used again in %d of them", r.wronglyHit, r.rounds, r.reused)
	}
	if r.acted == 0 || r.acted > r.rounds/2 {
		t.Errorf("acted in %d of %d rounds: that is no mix", r.acted, r.rounds)
	}
	t.Logf("%d rounds, pid used again in %d, victim acted on in %d, innocent processes hit: %d", r.rounds, r.reused, r.acted, r.wronglyHit)

	// The same rounds with kill(2), which have to fail, or the test is none.
	*r = pidReuse{executor: r.executor, socket: r.socket, keeper: r.keeper}
	for range 20 {
		r.round(t, beforeAction, func(_ *testing.T, id closewait.ProcessID, _ moment, replace func()) {
			replace()
			_ = unix.Kill(id.PID, unix.SIGKILL)
		})
	}
	if r.wronglyHit < 10 {
		t.Errorf("kill(2) has hit %d innocent processes in 20 rounds: the test cannot fail", r.wronglyHit)
	}
}

// pidReuse makes pairs of processes of which the second gets the pid of the first, the victim. The
// target holds a socket in CLOSE_WAIT. It lives so shortly that both have the same start time, often:
// it is the socket that tells them apart then. So the test must not hold it when it forks the
// errorOf2 one, which has everything of the test before its exec(2): a keeper holds it.
type pidReuse struct {
	executor *Executor
	socket   *closewait.Socket
	keeper   *ProcessHandle

	rounds, reused, acted, wronglyHit int
}

// softLimit is the limit of descriptors of all processes here.
const softLimit = 500

func newPIDReuse(t *testing.T) *pidReuse {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	limit.Cur = softLimit
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	v := newTarget(t, places[0])
	e := newExecutor(t)
	return &pidReuse{executor: e, socket: v.socket, keeper: openHandle(t, e, v.pid())}
}

// round calls act, which has to call replace once, at the moment.
func (r *pidReuse) round(t *testing.T, at moment, act func(t *testing.T, id closewait.ProcessID, at moment, replace func())) {
	victim := r.newHolder(t)
	id := idOf(t, victim.Process.Pid)
	innocent := exec.Command("cat")
	end, err := innocent.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	act(t, id, at, func() {
		_ = victim.Process.Kill()
		_ = victim.Wait()
		nextPid(t, id.PID)
		if err := innocent.Start(); err != nil {
			t.Error(err)
		}
	})
	if innocent.Process == nil {
		t.FailNow()
	}
	if innocent.Process.Pid == id.PID {
		r.reused++
	}
	var limit unix.Rlimit
	if err := unix.Prlimit(innocent.Process.Pid, unix.RLIMIT_NOFILE, nil, &limit); err != nil || limit.Cur != softLimit {
		r.wronglyHit++
	}
	_ = end.Close()
	if err := innocent.Wait(); err != nil { // else it has lived to the end of its input
		r.wronglyHit++
	}
}

// newHolder starts a process that has got the socket from the keeper.
func (r *pidReuse) newHolder(t *testing.T) (cmd *exec.Cmd) {
	err := r.keeper.withDuplicate(fdscan.Handle{Number: 3}, func(fd int) error {
		own, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		file := os.NewFile(uintptr(own), "socket")
		defer file.Close()
		cmd = startSleep(t, file)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return cmd
}

// act is what a ladder does.
func (r *pidReuse) act(t *testing.T, id closewait.ProcessID, at moment, replace func()) {
	reach := func(m moment) {
		if at == m {
			replace()
		}
	}
	if at == meanwhile {
		var other sync.WaitGroup
		other.Go(replace)
		defer other.Wait()
	}
	reach(beforeOpen)
	h, err := r.executor.Open(id)
	if err == nil {
		defer h.Close()
	}
	reach(beforeVerify)
	var still []*closewait.Socket
	if err == nil {
		still, err = h.Verify(t.Context(), []*closewait.Socket{r.socket})
	}
	reach(beforeAction)
	if len(still) > 0 {
		err = errors.Join(errorOf3(h.RaiseNoFile(closewait.UnlimitedFDs)), h.Signal("KILL"))
		if err == nil {
			r.acted++
		}
	}
	if err != nil && !errors.Is(err, closewait.ErrGone) {
		t.Error(err)
	}
}

// nextPid makes a pid the next one that is given away, as it would be after a round of all pids.
func nextPid(t *testing.T, pid int) {
	if err := os.WriteFile("/proc/sys/kernel/ns_last_pid", []byte(itoa(pid-1)), 0); err != nil {
		t.Errorf("choose the next pid: %v", err)
	}
}
