package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"closewait_exporter/internal/leaktest"
)

// diagnosis is the JSON of diagnose, as far as the tests read it.
type diagnosis struct {
	Process struct {
		PID     int
		Runtime string
	}
	Verdict struct {
		Kind, Confidence, Summary, Next string
		Wrong                           bool
		Evidence                        []string
	}
}

// diagnosed runs diagnose, and checks that the exit status fits the verdict.
func diagnosed(t *testing.T, args ...string) (d diagnosis) {
	t.Helper()
	cmd := exec.Command(program(t), append([]string{"diagnose", "--output=json"}, args...)...)
	out, err := cmd.Output()
	status := 0
	if failed := new(exec.ExitError); errors.As(err, &failed) {
		status = failed.ExitCode()
		if status == 1 {
			t.Fatalf("diagnose %v: %s", args, failed.Stderr)
		}
	} else if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(out, &d); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	if want := map[bool]int{true: 2, false: 0}[d.Verdict.Wrong]; status != want {
		t.Errorf("exit status %d with the verdict %s, want %d", status, d.Verdict.Kind, want)
	}
	return d
}

// awaitVerdict waits until the diagnosis of a process is of a kind. Before that there can be
// nothing to see yet, or too little, and on a busy machine the process may really get no
// processor. Any other verdict is wrong. The texts are in the verdict.
func awaitVerdict(t *testing.T, pid int, kind string, texts ...string) (d diagnosis) {
	t.Helper()
	early := []string{"nothing_wrong", "unknown", "overload"}
	leaktest.EventuallyEvery(t, 2*maxWait, time.Second, func() (bool, string) {
		d = diagnosed(t, strconv.Itoa(pid))
		if d.Verdict.Kind != kind && !slices.Contains(early, d.Verdict.Kind) {
			t.Fatalf("verdict %s of process %d, want %s: %+v", d.Verdict.Kind, pid, kind, d)
		}
		return d.Verdict.Kind == kind && d.says(texts), fmt.Sprintf("the verdict is %+v, want %s with %q", d, kind, texts)
	})
	t.Logf("%s (%s): %s\n%s\n%s", d.Verdict.Kind, d.Verdict.Confidence, d.Verdict.Summary, strings.Join(d.Verdict.Evidence, "\n"), d.Verdict.Next)
	return d
}

// says reports whether all texts are in the verdict.
func (d *diagnosis) says(texts []string) bool {
	all := d.Verdict.Summary + "\n" + strings.Join(d.Verdict.Evidence, "\n") + "\n" + d.Verdict.Next
	return !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(all, text) })
}

// TestDiagnoseTellsWhyASocketLeaks has one leak of each kind that cmd/leak makes.
func TestDiagnoseTellsWhyASocketLeaks(t *testing.T) {
	leaktest.RequireRoot(t)
	for _, tt := range []struct {
		flags, kind string
		says        []string
	}{
		{"--sockets=3 --unread=none", "never_closes", []string{"3 with the end read", "inbound port"}},
		{"--sockets=3 --unread=fin", "never_reads", []string{"3 with only the end unread"}},
		{"--sockets=3 --unread=300", "never_reads", []string{"3 with data unread"}},
		{"--outbound=3 --unread=fin", "idle_pool", []string{"outbound port", "pprof"}},
		{"--closed=3", "never_closes", []string{"3 over on both sides"}},
		{"--unaccepted=3", "accept_queue", []string{"3 wait", "No thread waits for this listener"}},
		{"--sockets=3 --children=1", "shared", []string{"Other holders: pid"}},
		{"--stream=2", "half_close", []string{"data still flows"}},
		{"--established=3 --churn=20", "nothing_wrong", []string{"open connections"}},
	} {
		t.Run(tt.flags, func(t *testing.T) {
			t.Parallel()
			leak := leaktest.Start(t, strings.Fields(tt.flags)...)
			d := awaitVerdict(t, leak.PID, tt.kind, tt.says...)
			if d.Process.Runtime != "go" {
				t.Errorf("runtime %s, want go", d.Process.Runtime)
			}
		})
	}
}

func TestDiagnoseTellsThatAProcessIsStopped(t *testing.T) {
	leaktest.RequireRoot(t)
	leak := leaktest.Start(t, "--sockets=2", "--unread=none")
	leak.Signal(syscall.SIGSTOP)
	d := awaitVerdict(t, leak.PID, "halted", "threads stopped")
	if d.Verdict.Confidence != "sure" {
		t.Errorf("confidence %s, want sure", d.Verdict.Confidence)
	}
	leak.Signal(syscall.SIGCONT)
}

// TestDiagnoseFindsProcessesThatWaitForThemselves lets both threads of a pool call the server
// itself. Both have a half of a request before either gets the rest.
func TestDiagnoseFindsProcessesThatWaitForThemselves(t *testing.T) {
	leaktest.RequireRoot(t)
	for _, tt := range []struct {
		name           string
		command        []string
		first, rest    string
		runtime, stack string
	}{
		{"Python", []string{"python3", "testdata/python/selfcall.py"}, "", "hello\n", "python", "py-spy dump"},
		{"Java", []string{"java", javaQuick, "testdata/java/SelfCall.java"}, "GET /outer HTTP/1.1\r\n", "Host: x\r\n\r\n", "java", "jstack"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := startForeign(t, tt.command...)
			var clients []*net.TCPConn
			for range 2 {
				clients = append(clients, dial(t, p.port, tt.first))
			}
			awaitReaders(t, p.pid, p.port, 2)
			for _, c := range clients {
				_, err := c.Write([]byte(tt.rest))
				must(t, err)
			}
			d := awaitVerdict(t, p.pid, "waits_for_itself", "2 requests to its own port "+strconv.Itoa(int(p.port)), "2 of ", tt.stack)
			if d.Process.Runtime != tt.runtime {
				t.Errorf("runtime %s, want %s", d.Process.Runtime, tt.runtime)
			}
			for _, c := range clients { // the clients give up: the deadlock stays
				c.Close()
			}
			if d := diagnosed(t, strconv.Itoa(p.pid)); d.Verdict.Kind != "waits_for_itself" {
				t.Errorf("verdict %+v after the clients have gone", d)
			}
		})
	}
}

// awaitReaders waits until threads of the process are in a read of connections to its port.
func awaitReaders(t *testing.T, pid int, port uint16, n int) {
	t.Helper()
	leaktest.Eventually(t, maxWait, func() (bool, string) {
		out, err := exec.Command(program(t), "diagnose", strconv.Itoa(pid), "--output=json").Output()
		if failed := new(exec.ExitError); err != nil && !errors.As(err, &failed) {
			t.Fatal(err)
		}
		var d struct {
			Threads []struct {
				Still bool
				Local *string
			}
		}
		must(t, json.Unmarshal(out, &d))
		reading := 0
		for _, thread := range d.Threads {
			if thread.Still && thread.Local != nil && strings.HasSuffix(*thread.Local, fmt.Sprint(":", port)) {
				reading++
			}
		}
		return reading >= n, fmt.Sprintf("%d of %d threads read: %s", reading, n, out)
	})
}

// dial connects to a server and sends a text.
func dial(t *testing.T, port uint16, text string) *net.TCPConn {
	t.Helper()
	connection, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	must(t, err)
	t.Cleanup(func() { connection.Close() })
	_, err = connection.Write([]byte(text))
	must(t, err)
	return connection.(*net.TCPConn)
}

// silentServer accepts connections, and neither answers nor closes them before the test ends.
func silentServer(t *testing.T) (port uint16) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			defer connection.Close()
		}
	}()
	t.Cleanup(func() { listener.Close(); <-done })
	return uint16(listener.Addr().(*net.TCPAddr).Port)
}

func TestDiagnoseFindsProcessesThatWaitForAnother(t *testing.T) {
	leaktest.RequireRoot(t)
	backend := silentServer(t)
	p := startForeign(t, "python3", "testdata/python/backend.py", strconv.Itoa(int(backend)))
	for range 5 { // three for the threads, and two that wait
		dial(t, p.port, "hello")
	}
	awaitVerdict(t, p.pid, "waits_for_peer", fmt.Sprintf("127.0.0.1:%d", backend), fmt.Sprintf("process %d (", os.Getpid()), "3 of 4 threads", "Accept queue")
}

func TestDiagnoseFindsProxiesWhoseOtherSideDoesNotClose(t *testing.T) {
	leaktest.RequireRoot(t)
	p := startForeign(t, "python3", "testdata/python/proxy.py", strconv.Itoa(int(silentServer(t))))
	for range 3 {
		dial(t, p.port, "hello\n").Close()
	}
	awaitVerdict(t, p.pid, "half_close_proxy", "3 with the end read", "3 sockets are in FIN_WAIT2")
}

// TestDiagnoseFindsThatTheAcceptLoopReadsFromASilentClient has a program in C, without frame
// pointers or symbols that anything here would need.
func TestDiagnoseFindsThatTheAcceptLoopReadsFromASilentClient(t *testing.T) {
	leaktest.RequireRoot(t)
	server := filepath.Join(t.TempDir(), "oneatatime")
	if out, err := exec.Command(leaktest.RequireProgram(t, "gcc"), "-O2", "-pthread", "-o", server, "testdata/c/oneatatime.c").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	p := startForeign(t, server)
	for range 3 {
		dial(t, p.port, "")
	}
	awaitVerdict(t, p.pid, "accept_queue", "2 wait", "is in read() on a connection of a client", "gdb -p")
}

// TestDiagnoseNamesTheWorkersThatHaveToAccept has a master that only keeps the listener.
func TestDiagnoseNamesTheWorkersThatHaveToAccept(t *testing.T) {
	leaktest.RequireRoot(t)
	p := startForeign(t, "python3", "testdata/python/master.py")
	dial(t, p.port, "hello")
	worker := strconv.Itoa(p.family(t)[1])
	d := awaitVerdict(t, p.pid, "accept_queue", "Other processes hold this listener", worker)
	if d.Verdict.Confidence != "possible" {
		t.Errorf("confidence %s, want possible", d.Verdict.Confidence)
	}
}

func TestDiagnoseFindsNodeThatDoesNotEndItsHalf(t *testing.T) {
	leaktest.RequireRoot(t)
	p := startForeign(t, "node", "testdata/node/halfopen.js")
	for range 3 {
		requestAndClose(t, "127.0.0.1", p.port)
	}
	awaitVerdict(t, p.pid, "never_closes", "3 with the end read", "node inspect")
}

// TestDiagnoseTellsLoadFromALeak gives a server a fifth of a processor and more work than that.
func TestDiagnoseTellsLoadFromALeak(t *testing.T) {
	leaktest.RequireRoot(t)
	join := limitedCgroup(t)
	p := startForeign(t, "python3", "testdata/python/busy.py")
	join(p.pid)
	for range 8 {
		dial(t, p.port, "hello")
	}
	awaitVerdict(t, p.pid, "overload", "CPU quota", "Accept queue")
}

// limitedCgroup makes a cgroup that gets a fifth of a processor. It is removed when the test ends.
func limitedCgroup(t *testing.T) (join func(pid int)) {
	t.Helper()
	for mount, quota := range map[string][2]string{"/sys/fs/cgroup/cpu": {"cpu.cfs_quota_us", "20000"}, "/sys/fs/cgroup": {"cpu.max", "20000 100000"}} {
		dir := filepath.Join(mount, fmt.Sprintf("closewait-test-%d", os.Getpid()))
		if _, err := os.Stat(filepath.Join(mount, "cgroup.procs")); err != nil || os.Mkdir(dir, 0o755) != nil {
			continue
		}
		t.Cleanup(func() {
			leaktest.Eventually(t, maxWait, func() (bool, string) { err := os.Remove(dir); return err == nil, fmt.Sprint(err) })
		})
		if err := os.WriteFile(filepath.Join(dir, quota[0]), []byte(quota[1]), 0); err != nil {
			continue
		}
		return func(pid int) {
			must(t, os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0))
		}
	}
	t.Skip("no cgroup with a CPU quota can be made here")
	return nil
}

// TestDiagnoseFindsNothingWrongWithHealthyServers has servers with idle clients.
func TestDiagnoseFindsNothingWrongWithHealthyServers(t *testing.T) {
	leaktest.RequireRoot(t)
	for name, command := range map[string][]string{
		"Python with a thread for each client": {"python3", "testdata/python/threads.py"},
		"Java with a pool":                     {"java", javaQuick, "testdata/java/SelfCall.java"},
		"Node":                                 {"node", "testdata/node/halfopen.js", "healthy"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := startForeign(t, command...)
			host := "127.0.0.1"
			if strings.HasPrefix(name, "Python") {
				host = "::1"
			}
			connection, err := net.Dial("tcp", net.JoinHostPort(host, strconv.Itoa(int(p.port))))
			must(t, err)
			defer connection.Close()
			awaitVerdict(t, p.pid, "nothing_wrong", "1 listener")
		})
	}
}

func TestDiagnoseChoosesTheWorstProcess(t *testing.T) {
	leaktest.RequireRoot(t)
	few := leaktest.Start(t, "--sockets=1", "--comm=diagnosed")
	many := leaktest.Start(t, "--sockets=3", "--comm=diagnosed")
	leaktest.EventuallyEvery(t, maxWait, time.Second, func() (bool, string) {
		d := diagnosed(t, "--group=diagnosed", "--collector.min-age=0s")
		return d.Process.PID == many.PID, fmt.Sprintf("process %d, want %d and not %d", d.Process.PID, many.PID, few.PID)
	})
	if d := diagnosed(t, "--collector.min-age=0s"); d.Process.PID == 0 {
		t.Errorf("%+v, want some listed process", d)
	}
}

// TestDiagnoseSaysWhyItCannot has what people type by mistake, and what happens meanwhile.
func TestDiagnoseSaysWhyItCannot(t *testing.T) {
	leaktest.RequireRoot(t)
	const noUser = 65534
	mine := leaktest.Start(t, "--sockets=1")
	zombie := exec.Command("true")
	must(t, zombie.Start())
	t.Cleanup(func() { _ = zombie.Wait() })
	leaktest.Eventually(t, maxWait, func() (bool, string) {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", zombie.Process.Pid))
		return err == nil && strings.Contains(string(stat), ") Z "), "the process has not ended"
	})
	for _, tt := range []struct {
		name string
		user *syscall.Credential
		args []string
		want string
	}{
		{"no such process", nil, []string{strconv.Itoa(1 << 30)}, "no process has the pid 1073741824"},
		{"no number", nil, []string{"java"}, `pid: "java" is not a whole number of at least 1`},
		{"no pid", nil, []string{"0"}, `pid: "0" is not a whole number of at least 1`},
		{"a zombie", nil, []string{strconv.Itoa(zombie.Process.Pid)}, "is a zombie"},
		{"a group that is not listed", nil, []string{"--group=no-such-group"}, `no process of the group "no-such-group" is listed`},
		{"a pid and a group", nil, []string{"1", "--group=x"}, "give a pid or --group, not both"},
		{"no rights", &syscall.Credential{Uid: noUser, Gid: noUser}, []string{strconv.Itoa(mine.PID)}, "run as root, or with CAP_SYS_PTRACE"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var stdout, stderr strings.Builder
			cmd := exec.Command(program(t), append([]string{"diagnose"}, tt.args...)...)
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: tt.user}
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			_ = cmd.Run() // its exit status is checked below
			if status := cmd.ProcessState.ExitCode(); status != 1 || stdout.Len() > 0 {
				t.Errorf("exit status %d, output %q, want 1 and none", status, &stdout)
			}
			if strings.Count(stderr.String(), "\n") != 1 || !strings.Contains(stderr.String(), tt.want) {
				t.Errorf("%q, want one line with %q", &stderr, tt.want)
			}
		})
	}
}
