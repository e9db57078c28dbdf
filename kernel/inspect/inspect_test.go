package inspect

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/diagnose"
	"closewait_exporter/internal/leaktest"
	"closewait_exporter/kernel/host"
	"closewait_exporter/kernel/procfs"
)

const soon = time.Minute

func TestThreadsAreReadWithTheDescriptorsForWhichTheyWait(t *testing.T) {
	leaktest.RequireRoot(t)
	var fds waiterFDs
	id := start(t, "waiter", &fds).id
	r := reader(t, "memory")
	r.ChildTime = soon / 2 // with the race detector it takes long to start
	type want struct {
		calls []string
		fds   []int
		on    string
	}
	wants := map[string]want{
		"a pipe":       {[]string{"read"}, []int{fds.Pipe}, "a pipe"},
		"a connection": {[]string{"read"}, []int{fds.Connection}, ""},
		"poll":         {[]string{"poll", "ppoll"}, []int{fds.Listener}, ""},
		"select":       {[]string{"select", "pselect6"}, []int{fds.Listener}, ""},
		"epoll":        {[]string{"epoll_wait", "epoll_pwait"}, []int{fds.Listener}, ""},
	}
	var f *diagnose.Facts
	leaktest.Eventually(t, soon, func() (bool, string) {
		var err error
		f, err = r.Read(t.Context(), &closewait.Process{ID: id})
		must(t, err)
		for name, w := range wants {
			if !slices.ContainsFunc(f.Threads, func(th diagnose.Thread) bool {
				return th.Still && slices.Contains(w.calls, th.Call) && slices.Equal(th.FDs, w.fds) && th.On == w.on
			}) {
				return false, fmt.Sprintf("%s: no thread is %+v in %+v (%q)", name, w, f.Threads, f.Missing)
			}
		}
		return len(f.Missing) == 0, fmt.Sprint(f.Missing)
	})
	if f.Runtime != diagnose.Go || !f.SocketsKnown || !f.CallsKnown || !f.CPU.Known {
		t.Errorf("runtime %s, sockets known %v, calls known %v, CPU %+v", f.Runtime, f.SocketsKnown, f.CallsKnown, f.CPU)
	}
	i := slices.IndexFunc(f.Threads, func(th diagnose.Thread) bool { return slices.Equal(th.FDs, []int{fds.Connection}) })
	s := f.Sockets[f.Threads[i].Socket]
	if s.FD != fds.Connection || s.State != diagnose.Established || s.Inbound {
		t.Errorf("the connection is %+v", s)
	}
	if s.Peer.Place != diagnose.OwnQueue {
		t.Errorf("the other end is %+v, want it in the own accept queue", s.Peer)
	}
	queued := slices.IndexFunc(f.Sockets, func(s diagnose.Socket) bool { return s.State == diagnose.Listening && s.RecvQueue == 1 })
	if queued < 0 || f.Sockets[queued].QueueAge <= 0 {
		t.Errorf("no listener has a connection in its queue, with an age: %+v", f.Sockets)
	}
}

// TestAReadThatHangsCostsOnlyWhatItWouldHaveSaid has a child process that never answers, and memory
// that never arrives.
func TestAReadThatHangsCostsOnlyWhatItWouldHaveSaid(t *testing.T) {
	leaktest.RequireRoot(t)
	for _, c := range []struct{ name, target, child string }{
		{"a child process that does not answer", "waiter", "hang"},
		{"memory that does not arrive", "userfault", "memory"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var answer waiterFDs
			id := start(t, c.target, &answer).id
			r := reader(t, c.child)
			leaktest.Eventually(t, soon, func() (bool, string) {
				f, err := r.Read(t.Context(), &closewait.Process{ID: id})
				must(t, err)
				if !f.SocketsKnown || !f.CallsKnown || len(f.Threads) == 0 {
					t.Fatalf("%+v", f)
				}
				return slices.ContainsFunc(f.Missing, func(line string) bool { return strings.Contains(line, "no answer in time") }),
					fmt.Sprintf("missing is %q", f.Missing)
			})
		})
	}
}

func TestAProcessThatEndsMeanwhileIsGone(t *testing.T) {
	leaktest.RequireRoot(t)
	sleep := startSleep(t)
	h := openHost(t)
	id, err := Find(h, sleep.Process.Pid)
	must(t, err)
	r := &Reader{Host: h, Child: []string{leaktest.RequireProgram(t, "kill"), "-KILL", strconv.Itoa(id.PID)}}
	if _, err := r.Read(t.Context(), &closewait.Process{ID: id}); !errors.Is(err, closewait.ErrGone) || !strings.Contains(err.Error(), strconv.Itoa(id.PID)) {
		t.Errorf("error is %v, want that the process has ended, with its pid", err)
	}
}

// TestAProcessIsNotTracedOrStopped watches a process while it is read.
func TestAProcessIsNotTracedOrStopped(t *testing.T) {
	leaktest.RequireRoot(t)
	var fds waiterFDs
	id := start(t, "waiter", &fds).id
	done := make(chan error, 1)
	go func() {
		r := &Reader{Host: openHost(t), Child: []string{"env", role + "=memory", os.Args[0]}, Workers: 1}
		var err error
		for range 3 {
			_, failed := r.Read(t.Context(), &closewait.Process{ID: id})
			err = errors.Join(err, failed)
		}
		done <- err
	}()
	for samples := 0; ; samples++ {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", id.PID))
		must(t, err)
		tracer, state := procfs.StatusField(status, "TracerPid"), procfs.StatusField(status, "State")
		if tracer != "0" || strings.ContainsAny(state[:1], "Tt") {
			t.Errorf("tracer %s, state %s", tracer, state)
		}
		select {
		case err := <-done:
			must(t, err)
			if samples == 0 {
				t.Error("the process was never checked")
			}
			return
		default:
		}
	}
}

func TestWhatIsNoProcessWithSocketsIsAnErrorThatSaysWhy(t *testing.T) {
	h := openHost(t)
	sleep := startSleep(t)
	zombie := exec.Command("true")
	must(t, zombie.Start())
	defer zombie.Wait()
	leaktest.Eventually(t, soon, func() (bool, string) {
		_, err := Find(h, zombie.Process.Pid)
		return err != nil && strings.Contains(err.Error(), "zombie") &&
			strings.Contains(err.Error(), fmt.Sprintf("its parent %d", os.Getpid())), fmt.Sprint(err)
	})
	threads, err := os.ReadDir("/proc/self/task")
	must(t, err)
	thread, err := strconv.Atoi(threads[len(threads)-1].Name())
	must(t, err)
	const none = 1 << 30
	for _, c := range []struct {
		name string
		pid  int
		want string
	}{
		{"none", none, "no process has the pid"},
		{"a thread", thread, fmt.Sprintf("%d is a thread of process %d", thread, os.Getpid())},
		{"a process", sleep.Process.Pid, ""},
	} {
		id, err := Find(h, c.pid)
		if c.want == "" {
			if err != nil || id.PID != c.pid || id.Start == 0 {
				t.Errorf("%s: %v, %v", c.name, id, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error is %v, want %q in it", c.name, err, c.want)
		}
	}
	if h.SeesAllProcesses {
		if _, err := Find(h, 2); err == nil || !strings.Contains(err.Error(), "kernel thread") {
			t.Errorf("error for kthreadd is %v", err)
		}
	}
	h.SeesAllProcesses = false
	if _, err := Find(h, none); !errors.Is(err, closewait.ErrGone) || !strings.Contains(err.Error(), "does not show all processes") {
		t.Errorf("where other pids are hidden, the error is %v", err)
	}
}

// TestAnotherPIDNamespaceIsNotConfusedWithOurs must not read the memory of an unrelated process.
func TestAnotherPIDNamespaceIsNotConfusedWithOurs(t *testing.T) {
	h := openHost(t)
	h.PIDsAreOurs = false
	w := waitRequest{TID: os.Getpid(), Kind: pollSet, Arguments: [6]uint64{1, 1}}
	if _, err := w.read(h, host.Directory(-1)); err == nil || !strings.Contains(err.Error(), "another pid namespace") {
		t.Errorf("error is %v", err)
	}
}

func startSleep(t *testing.T) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("sleep", "1000")
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd
}

// TestProcessesAreReadQuickly reads one whose memory and one whose socket can hang, beside one that
// has ended, without a child process.
func TestProcessesAreReadQuickly(t *testing.T) {
	leaktest.RequireRoot(t)
	var fds waiterFDs
	var ready struct{}
	waiter, locked := start(t, "waiter", &fds).id, start(t, "locked", &ready).id
	ended := closewait.ProcessID{PID: waiter.PID, Start: waiter.Start + 1}
	r := &Reader{Host: openHost(t), Workers: 1}
	facts, err := r.ReadQuickly(t.Context(), []*closewait.Process{{ID: ended}, {ID: locked}, {ID: waiter}})
	must(t, err)
	if len(facts) != 2 || facts[ended] != nil {
		t.Fatalf("%v", facts)
	}
	for _, id := range []closewait.ProcessID{waiter, locked} {
		f := facts[id]
		if !f.SocketsKnown || !f.CallsKnown || len(f.Sockets) == 0 || len(f.Threads) == 0 || len(f.Missing) > 0 {
			t.Errorf("%+v", f)
		}
		for _, s := range f.Sockets {
			if s.HasTimes || s.FirstLine != "" {
				t.Errorf("%+v has what can hang", s)
			}
		}
	}
}

// TestWithoutTheRightToTraceTheRestIsRead denies what Yama denies.
func TestWithoutTheRightToTraceTheRestIsRead(t *testing.T) {
	leaktest.RequireRoot(t)
	var fds waiterFDs
	id := start(t, "waiter", &fds).id
	var server unreader
	unread := start(t, "unreader", &server)
	c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", server.Port))
	must(t, err)
	defer c.Close()
	_, err = c.Write([]byte(secretRequest))
	must(t, err)
	r := reader(t, "denied")
	r.ChildTime, r.Peek = soon/2, true
	for _, c := range []struct {
		id      closewait.ProcessID
		missing string
	}{{id, "read memory of process"}, {unread.id, "pidfd_getfd needs CAP_SYS_PTRACE, and kernel.yama.ptrace_scope below 3"}} {
		leaktest.Eventually(t, soon, func() (bool, string) {
			f, err := r.Read(t.Context(), &closewait.Process{ID: c.id})
			must(t, err)
			if !f.SocketsKnown || !f.CallsKnown || len(diagnose.UnreadLines(f)) > 0 {
				t.Fatalf("%+v", f)
			}
			return slices.ContainsFunc(f.Missing, func(line string) bool { return strings.Contains(line, c.missing) }), fmt.Sprintf("missing is %q", f.Missing)
		})
	}
}

func TestAReusedPIDIsGone(t *testing.T) {
	h := openHost(t)
	id, err := Find(h, os.Getpid())
	must(t, err)
	id.Start--
	r := &Reader{Host: h}
	if _, err := r.Read(t.Context(), &closewait.Process{ID: id}); !errors.Is(err, closewait.ErrGone) || !strings.Contains(err.Error(), "belongs to another process now") {
		t.Errorf("error is %v", err)
	}
}
