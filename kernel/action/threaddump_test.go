package action

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"closewait_exporter/internal/leaktest"
)

// javaProgram is a Java program that prints a line when it runs.
const javaProgram = `class Sleeper {
	public static void main(String[] args) throws Exception {
		System.out.println("it runs");
		Thread.sleep(1000_000);
	}
}`

// jvm is a running Java program with its output.
type jvm struct {
	cmd    *exec.Cmd
	output string // a file
}

// startJVM skips the test where there is no JDK, which it needs to run a source file.
func startJVM(t *testing.T, options ...string) jvm {
	t.Helper()
	for _, needed := range []string{"java", "javac"} {
		if _, err := exec.LookPath(needed); err != nil {
			t.Skipf("needs a JDK: %v", err)
		}
	}
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "Sleeper.java"), javaProgram)
	j := jvm{output: filepath.Join(dir, "output")}
	out, err := os.Create(j.output)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	options = append([]string{"-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx64m"}, options...)
	j.cmd = exec.Command("java", append(options, filepath.Join(dir, "Sleeper.java"))...)
	j.cmd.Stdout, j.cmd.Stderr = out, out
	if err := j.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = j.cmd.Process.Kill()
		_ = j.cmd.Wait()
	})
	return j
}

func (j jvm) readOutput(t *testing.T) string {
	t.Helper()
	said, err := os.ReadFile(j.output)
	if err != nil {
		t.Fatal(err)
	}
	return string(said)
}

func (j jvm) awaitOutput(t *testing.T, text string) {
	t.Helper()
	leaktest.Eventually(t, 2*soon, func() (bool, string) {
		said := j.readOutput(t)
		return strings.Contains(said, text), "the JVM has not printed " + text + " but: " + said
	})
}

func TestAJVMPrintsAThreadDumpAndLivesOn(t *testing.T) {
	e := newExecutor(t)
	j := startJVM(t)
	j.awaitOutput(t, "it runs")
	h := openHandle(t, e, j.cmd.Process.Pid)
	if err := h.ThreadDump(t.Context()); err != nil {
		t.Fatal(err)
	}
	j.awaitOutput(t, "Full thread dump")
	j.awaitOutput(t, "Sleeper.main")
	expectNoExit(t, h)
}

// TestAJVMThatIsStartingSurvives requests thread dumps from the beginning, when SIGQUIT would end
// the JVM.
func TestAJVMThatIsStartingSurvives(t *testing.T) {
	e := newExecutor(t)
	j := startJVM(t)
	h := openHandle(t, e, j.cmd.Process.Pid)
	leaktest.Eventually(t, soon, func() (bool, string) {
		err := h.ThreadDump(t.Context())
		if err != nil && !errors.Is(err, ErrNotJVM) {
			t.Fatal(err)
		}
		return err == nil, fmt.Sprintf("it is still refused: %v", err)
	})
	j.awaitOutput(t, "Full thread dump")
	j.awaitOutput(t, "it runs")
	expectNoExit(t, h)
}

func TestAJVMWithReducedSignalsIsRefused(t *testing.T) {
	e := newExecutor(t)
	for _, c := range []struct{ name, option, variable string }{
		{"on the command line", "-Xrs", ""},
		{"as a flag", "-XX:+ReduceSignalUsage", ""},
		{"in the environment", "", "-Xrs"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("JAVA_TOOL_OPTIONS", c.variable)
			j := startJVM(t, strings.Fields(c.option)...)
			j.awaitOutput(t, "it runs")
			requireRefused(t, openHandle(t, e, j.cmd.Process.Pid))
		})
	}
}

// TestOtherProgramsGetNoSIGQUIT has programs with more and more of the properties of a JVM.
func TestOtherProgramsGetNoSIGQUIT(t *testing.T) {
	e := newExecutor(t)
	library := copyOf(t, libraryOf(t, os.Getpid(), "/libc."), "libjvm.so")
	catches := []string{"-c", "trap : QUIT; while :; do sleep 1000; done"}
	for _, c := range []struct {
		name, program string
		arguments     []string
		preload       string
		why           string
	}{
		{"another program", "/bin/sleep", []string{"1000"}, "", "the program is"},
		{"a Go program called java", copyOf(t, leaktest.Build(t), "java"), []string{"server"}, "", "not mapped"},
		{"a program called java that catches SIGQUIT", copyOf(t, "/bin/bash", "java"), catches, "", "not mapped"},
		{"a program called java with a libjvm.so that does not catch SIGQUIT", copyOf(t, "/bin/sleep", "java"), []string{"1000"}, library, "not caught"},
		{"the same, catching SIGQUIT, without a signal dispatcher", copyOf(t, "/bin/bash", "java"), catches, library, "no signal dispatcher"},
		{"the same under another name", "/bin/bash", catches, library, "the program is"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cmd := exec.Command(c.program, c.arguments...)
			if c.preload != "" {
				cmd.Env = append(os.Environ(), "LD_PRELOAD="+c.preload)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				_ = cmd.Process.Kill()
				_ = cmd.Wait()
			})
			h := openHandle(t, e, cmd.Process.Pid)
			leaktest.Eventually(t, soon, func() (bool, string) {
				err := h.ThreadDump(t.Context())
				return contains(err, c.why), fmt.Sprint(err)
			})
			requireRefused(t, h)
		})
	}
}

// requireRefused fails if a process gets SIGQUIT.
func requireRefused(t *testing.T, h *ProcessHandle) {
	t.Helper()
	if err := h.ThreadDump(t.Context()); !errors.Is(err, ErrNotJVM) {
		t.Errorf("%v, want %v", err, ErrNotJVM)
	}
	expectNoExit(t, h)
}

func copyOf(t *testing.T, file, name string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Skip(err)
	}
	to := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(to, data, 0o755); err != nil {
		t.Fatal(err)
	}
	return to
}

// libraryOf waits until a process has mapped a file whose path has that part, and returns the path.
func libraryOf(t *testing.T, pid int, part string) (path string) {
	t.Helper()
	leaktest.Eventually(t, soon, func() (bool, string) {
		maps, _ := os.ReadFile("/proc/" + itoa(pid) + "/maps")
		for line := range strings.Lines(string(maps)) {
			if at := strings.Index(line, "/"); at >= 0 && strings.Contains(line, part) {
				path = strings.TrimSpace(line[at:])
				return true, ""
			}
		}
		return false, "no " + part + " is mapped"
	})
	return path
}
