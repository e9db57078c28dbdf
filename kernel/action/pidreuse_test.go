package action

import (
	"bytes"
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
	"closewait_exporter/internal/kerneltest"
	"closewait_exporter/internal/leaktest"
	"closewait_exporter/kernel/fdscan"
)

// insideVariable is set where the test below runs in its own pid namespace.
const insideVariable = "KERNEL_TEST_PID_REUSE"

// TestNoOtherProcessIsHitWhenPidsAreUsedAgain acts on a process as a remediation does. In between,
// at changing moments, the process ends and another process gets its pid. Thousands of rounds run
// in a few seconds; CLOSEWAIT_LONG=1 runs ten thousand, however long that takes.
func TestNoOtherProcessIsHitWhenPidsAreUsedAgain(t *testing.T) {
	if os.Getenv(insideVariable) != "" {
		testPIDReuse(t)
		return
	}
	leaktest.RequireRoot(t)
	cmd := exec.Command("/proc/self/exe", "-test.v", "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), insideVariable+"=1", hosttest.Unprepared)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWNET, Pdeathsig: unix.SIGKILL}
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("--- PASS: "+t.Name())) {
		t.Errorf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}

// moment is when the target ends and its pid is used again.
type moment int

const (
	beforeOpen moment = iota
	beforeVerify
	beforeAction
	meanwhile // concurrently with all of them
	moments
)

func testPIDReuse(t *testing.T) {
	const maxRounds, maxTime = 10_000, 6 * time.Second
	r := newPIDReuse(t)
	for began := time.Now(); r.rounds < maxRounds; r.rounds++ {
		if os.Getenv("CLOSEWAIT_LONG") == "" && time.Since(began) > maxTime {
			break
		}
		r.round(t, moment(r.rounds)%moments, r.act)
	}
	if r.wronglyHit > 0 || r.reused < r.rounds*9/10 {
		t.Errorf("%d other processes hit in %d rounds, the pid was used again in %d of them", r.wronglyHit, r.rounds, r.reused)
	}
	if r.acted == 0 || r.acted > r.rounds/2 {
		t.Errorf("acted in %d of %d rounds, want some and at most half", r.acted, r.rounds)
	}
	t.Logf("%d rounds, pid used again in %d, target acted on in %d, other processes hit: %d", r.rounds, r.reused, r.acted, r.wronglyHit)

	// The same rounds with kill(2) must hit other processes, or the test proves nothing.
	*r = pidReuse{executor: r.executor, socket: r.socket, keeper: r.keeper}
	for range 20 {
		r.round(t, beforeAction, func(_ *testing.T, id closewait.ProcessID, _ moment, replace func()) {
			replace()
			_ = unix.Kill(id.PID, unix.SIGKILL)
		})
	}
	if r.wronglyHit < 10 {
		t.Errorf("kill(2) has hit %d other processes in 20 rounds: the test cannot fail", r.wronglyHit)
	}
}

// pidReuse makes pairs of processes. The first is the target and holds a socket in CLOSE_WAIT. The
// second is a bystander and gets the pid of the target. The target lives so briefly that both often
// have the same start time, and only the socket distinguishes them. A child has all descriptors of
// the test until its exec(2), so the test must not hold the socket itself when it starts the
// bystander: the keeper, a third process, holds it.
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
	p := newTarget(t, places[0])
	e := newExecutor(t)
	return &pidReuse{executor: e, socket: p.socket, keeper: openHandle(t, e, p.pid())}
}

// round calls act, which must call replace once, at the given moment.
func (r *pidReuse) round(t *testing.T, at moment, act func(t *testing.T, id closewait.ProcessID, at moment, replace func())) {
	target := r.newHolder(t)
	id := kerneltest.IdentityOf(t, target.Process.Pid)
	bystander := exec.Command("cat")
	end, err := bystander.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	act(t, id, at, func() {
		_ = target.Process.Kill()
		_ = target.Wait()
		nextPID(t, id.PID)
		if err := bystander.Start(); err != nil {
			t.Error(err)
		}
	})
	if bystander.Process == nil {
		t.FailNow()
	}
	if bystander.Process.Pid == id.PID {
		r.reused++
	}
	var limit unix.Rlimit
	if err := unix.Prlimit(bystander.Process.Pid, unix.RLIMIT_NOFILE, nil, &limit); err != nil || limit.Cur != softLimit {
		r.wronglyHit++
	}
	_ = end.Close()
	if err := bystander.Wait(); err != nil { // else it has read its input to the end
		r.wronglyHit++
	}
}

// newHolder starts a process that holds the socket of the keeper.
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

// act does what a remediation does.
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

// nextPID makes a pid the next that a process gets, as if all others had been used since.
func nextPID(t *testing.T, pid int) {
	if err := os.WriteFile("/proc/sys/kernel/ns_last_pid", []byte(itoa(pid-1)), 0); err != nil {
		t.Errorf("choose the next pid: %v", err)
	}
}
