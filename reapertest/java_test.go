package reapertest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"closewait_exporter/internal/leaktest"
)

// leakyJava connects to itself and closes only one end.
const leakyJava = `import java.net.*;
import java.util.*;

class Leaky {
	static List<Socket> leaked = new ArrayList<>();

	public static void main(String[] args) throws Exception {
		ServerSocket server = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
		for (int i = 0; i < 5; i++) {
			leaked.add(new Socket(server.getInetAddress(), server.getLocalPort()));
			server.accept().close();
		}
		System.out.println("leaking");
		Thread.sleep(1000_000);
	}
}
`

func TestAThreadDumpOfARealJVM(t *testing.T) {
	for _, needed := range []string{"java", "javac"} {
		if _, err := exec.LookPath(needed); err != nil {
			t.Skipf("needs a JDK: %v", err)
		}
	}
	dir := t.TempDir()
	source, output := filepath.Join(dir, "Leaky.java"), filepath.Join(dir, "output")
	write(t, source, leakyJava)
	out, err := os.Create(output)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd := exec.Command("java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx64m", source)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	prints := func(text string) {
		await(t, func() (bool, string) {
			printed, _ := os.ReadFile(output)
			return strings.Contains(string(printed), text), fmt.Sprintf("the JVM does not print %q:\n%s", text, printed)
		})
	}
	prints("leaking")
	pidfd := openProcess(t, cmd.Process.Pid)

	e := enforcing(t, preamble+fmt.Sprintf(`  - name: jvm
    mode: enforce
    match: {exe: '.*/bin/java', command: '.*%s.*'}
    when: {sockets: 5, age: 1s}
    steps: [thread_dump: {}]
`, source))
	e.awaitSeries(remediations("jvm", "aborted"), 1) // the leak is still there
	prints("Full thread dump")
	if values := e.scrape(); values[actions("jvm", "thread_dump")] != 1 || values[failures("jvm", "thread_dump")] != 0 {
		t.Errorf("%v", values.about(decisions("jvm", "act")))
	}
	if !living(pidfd) {
		t.Error("the JVM has ended")
	}
}

// TestNoThreadDumpOfAGoProgram: it would end on SIGQUIT. The steps after it are not run either.
func TestNoThreadDumpOfAGoProgram(t *testing.T) {
	p := startTarget(t, leaktest.Where{}, "java", "--outbound=3")
	e := enforcing(t, preamble+rule("nojvm", p.exe, outbound+"steps: [thread_dump: {}, signal: {name: TERM, wait: 20s}]\n"))
	e.awaitSeries(failures("nojvm", "thread_dump"), 1)
	e.awaitSeries(decisions("nojvm", "cooldown"), 3)
	if values := e.scrape(); values[actions("nojvm", "signal")] != 0 || !p.alive() {
		t.Errorf("it was signalled: %v", values.about(decisions("nojvm", "act")))
	}
}
