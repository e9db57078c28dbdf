package e2e

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/cilium/ebpf"

	"closewait_exporter/internal/leaktest"
)

func TestOriginRefusesWhatItCannotTrace(t *testing.T) {
	leaktest.RequireRoot(t)
	sleep := exec.Command("sleep", "600")
	sleep.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := sleep.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sleep.Process.Kill(); _ = sleep.Wait() })
	pid := strconv.Itoa(sleep.Process.Pid)
	nobody := []string{leaktest.RequireProgram(t, "setpriv"), "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all", program(t)}
	own := []string{program(t)}
	for name, tt := range map[string]struct {
		command []string
		args    string
		want    string
	}{
		"no pid":                {own, "", "required argument 'pid'"},
		"too short":             {own, pid + " --for=1ms", "--for"},
		"a profile that exists": {own, pid + " -o /etc/hostname", "file already exists: give another name, or --force to replace it"},
		"a profile at a device": {own, pid + " -o /dev/null", "is not a regular file"},
		"an unwritable profile": {own, pid + " -o /nonexistent/leak.pb.gz", "no such file or directory"},
		"another pid namespace": {[]string{leaktest.RequireProgram(t, "unshare"), "--pid", "--fork", program(t)}, pid, "another pid namespace"},
		"no privileges":         {nobody, pid, "it needs CAP_BPF and CAP_PERFMON"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			command := slices.Concat(tt.command, []string{"origin"}, strings.Fields(tt.args))
			requireError(t, exec.Command(command[0], command[1:]...), tt.want)
		})
	}
}

func TestOriginSaysThatTheProcessHasEnded(t *testing.T) {
	leaktest.RequireRoot(t)
	leak := leaktest.Start(t, "--sockets=1")
	trace := startOrigin(t, leak.PID)
	leak.Stop()
	err := trace.wait()
	if failed := new(exec.ExitError); !errors.As(err, &failed) || failed.ExitCode() != 1 {
		t.Errorf("error %v, want exit status 1", err)
	}
	if want := fmt.Sprintf("process %d (leak) ended while it was traced, and its sockets with it", leak.PID); !strings.Contains(trace.stderr.String(), want) {
		t.Errorf("says %q, want %q", &trace.stderr, want)
	}
	if trace.stdout.Len() > 0 {
		t.Errorf("a result of a process that has ended: %s", &trace.stdout)
	}
}

func TestOriginSaysThatAnotherProgramRuns(t *testing.T) {
	leaktest.RequireRoot(t)
	cmd := exec.Command("sh", "-c", "read line; exec cat")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	stdin, err := cmd.StdinPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	trace := startOrigin(t, cmd.Process.Pid)
	_, err = stdin.Write([]byte("go\n"))
	must(t, err)
	leaktest.Eventually(t, maxWait, func() (bool, string) {
		comm, err := os.ReadFile("/proc/" + strconv.Itoa(cmd.Process.Pid) + "/comm")
		return err == nil && string(comm) == "cat\n", string(comm)
	})
	must(t, trace.cmd.Process.Signal(os.Interrupt))
	err = trace.cmd.Wait()
	if failed := new(exec.ExitError); !errors.As(err, &failed) || failed.ExitCode() != 1 || trace.stdout.Len() > 0 {
		t.Errorf("error %v, want exit status 1 and no result: %s", err, &trace.stdout)
	}
}

// bpfObjects returns the ids of the programs and maps in the kernel that have names of ours.
func bpfObjects(t *testing.T) map[string]bool {
	t.Helper()
	objects := map[string]bool{}
	for id := ebpf.ProgramID(0); ; {
		next, err := ebpf.ProgramGetNextID(id)
		if errors.Is(err, fs.ErrNotExist) {
			break
		}
		must(t, err)
		id = next
		p, err := ebpf.NewProgramFromID(id)
		if err != nil {
			continue // it has just been unloaded
		}
		if info, err := p.Info(); err == nil && (info.Name == "state_changed" || info.Name == "received" || info.Name == "traced_sockets") {
			objects["program "+strconv.Itoa(int(id))] = true
		}
		p.Close()
	}
	for id := ebpf.MapID(0); ; {
		next, err := ebpf.MapGetNextID(id)
		if errors.Is(err, fs.ErrNotExist) {
			break
		}
		must(t, err)
		id = next
		m, err := ebpf.NewMapFromID(id)
		if err != nil {
			continue
		}
		if info, err := m.Info(); err == nil && (info.Name == "births" || info.Name == "stacks") {
			objects["map "+strconv.Itoa(int(id))] = true
		}
		m.Close()
	}
	return objects
}

// TestOriginLeavesNothingInTheKernel ends traces in several ways, and requires the programs and
// maps that were there meanwhile to be gone.
func TestOriginLeavesNothingInTheKernel(t *testing.T) {
	leaktest.RequireRoot(t)
	leak := buildLeak(t)
	for name, end := range map[string]func(*tracing){
		"interrupted": func(trace *tracing) { trace.stop(t) },
		"killed":      func(trace *tracing) { _ = trace.cmd.Process.Kill(); _ = trace.cmd.Wait() },
	} {
		p := startForeign(t, leak)
		before := bpfObjects(t)
		trace := startOrigin(t, p.pid)
		p.ask(t, "leak")
		during := bpfObjects(t)
		for object := range before {
			delete(during, object)
		}
		if len(during) < 4 {
			t.Errorf("%s: only %v in the kernel during the trace", name, during)
		}
		end(trace)
		leaktest.Eventually(t, maxWait, func() (bool, string) {
			after := bpfObjects(t)
			for object := range during {
				if after[object] {
					return false, name + ": " + object + " is left"
				}
			}
			return true, ""
		})
	}
}

// TestOriginReadsFilesInOtherMountNamespaces hides the program from the exporter, and then deletes
// it.
func TestOriginReadsFilesInOtherMountNamespaces(t *testing.T) {
	leaktest.RequireRoot(t)
	leak := buildLeak(t, "-ldflags=-s -w")
	hidden := filepath.Join(t.TempDir(), "hidden")
	must(t, os.Mkdir(hidden, 0o700))
	script := `mount -t tmpfs tmpfs "$1" && cp "$2" "$1/leak" && exec "$1/leak"`
	p := startForeign(t, leaktest.RequireProgram(t, "unshare"), "--mount", "sh", "-c", script, "sh", hidden, leak)
	trace := startOrigin(t, p.pid)
	p.ask(t, "leak")
	if r := trace.stop(t); len(r.Groups) == 0 || at(r.Groups[0].Stack, r.Groups[0].Place) != "main.dial leak.go" {
		t.Errorf("in another mount namespace: %+v", r)
	}
	must(t, os.Remove(filepath.Join("/proc", strconv.Itoa(p.pid), "root", hidden, "leak")))
	trace = startOrigin(t, p.pid)
	p.ask(t, "leak")
	if r := trace.stop(t); len(r.Groups) == 0 || at(r.Groups[0].Stack, r.Groups[0].Place) != "main.dial leak.go" {
		t.Errorf("deleted: %+v", r)
	}
}

// TestOriginOfAProgramFor32BitProcessors has one whose file, function and thread have names that
// would control a terminal.
func TestOriginOfAProgramFor32BitProcessors(t *testing.T) {
	leaktest.RequireRoot(t)
	const name = "\x1b[2J\nNOTE\u202e" // at most 15 bytes
	small := filepath.Join(t.TempDir(), name)
	compile(t, "testdata/i386/accept.s", small, "-m32", "-nostdlib", "-static")
	if out, err := exec.Command(leaktest.RequireProgram(t, "objcopy"), "--redefine-sym", "drain=drain"+name, small).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := exec.Command(small).Run(); err != nil {
		t.Skipf("this kernel does not run programs for 32-bit processors: %v", err)
	}
	p := startForeign(t, "python3", "testdata/python/listener.py", small)
	leak := func(n int) {
		for range n {
			dial(t, p.port, "hello").Close()
			p.ask(t, "accept")
		}
	}
	leak(1)
	trace := startOrigin(t, p.pid)
	leak(2)
	r := trace.stop(t)
	if r.Leaked != 2 || r.Before != 1 || len(r.Groups) != 1 {
		t.Fatalf("got %+v, want 2 leaked in one group, and 1 before", r)
	}
	if g := r.Groups[0]; g.Direction != "inbound" || g.Port != p.port || !calls(g.Stack, "drain"+name) || !calls(g.Ends[0].Stack, "drain"+name) {
		t.Errorf("%+v", g)
	}
	requireHarmless(t, trace.stdout.String())
	trace = startOriginAs(t, "table", p.pid)
	leak(1)
	must(t, trace.cmd.Process.Signal(os.Interrupt))
	must(t, trace.wait())
	text := trace.stdout.String()
	requireHarmless(t, text)
	if !strings.Contains(text, `drain\x1b[2J\nNOTE\u202e`) || strings.Contains(text, "\nNOTE\\u202e") {
		t.Errorf("%q", text)
	}
}
