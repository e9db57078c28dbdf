package bpf

import (
	"bufio"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"closewait_exporter/internal/leaktest"
)

// holder holds sockets in CLOSE_WAIT. On demand it forks a child with the smallest table of
// descriptors that they fit into, and lets the child need a larger one.
const holder = `
import os, resource, signal, socket, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (10000, 10000))
listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen(64)
held = []
for _ in range(int(sys.argv[1])):
    client = socket.create_connection(listener.getsockname())
    held.append(listener.accept()[0])
    client.close()
for s in held:
    s.recv(1)
child, go = 0, 0
print("holds", flush=True)
for line in sys.stdin:
    if line == "fork\n":
        wait, go = os.pipe()
        child = os.fork()
        if child == 0:
            os.read(wait, 1)
            os.dup2(0, 9000)
            print("grown", flush=True)
            signal.pause()
        os.close(wait)
        print(child, flush=True)
    elif line == "grow\n":
        os.write(go, b"x")
    elif line == "end\n":
        os.close(go)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        print("ended", flush=True)
if child:
    try:
        os.kill(child, signal.SIGKILL)
    except ProcessLookupError:
        pass
`

// TestATableThatGrowsIsReadCompletely moves tables to other memory while they are read.
func TestATableThatGrowsIsReadCompletely(t *testing.T) {
	leaktest.RequireRoot(t)
	const sockets, rounds = 3500, 20
	leaktest.Listen(t, "tcp", "127.0.0.1:0")
	it := opened(t, objectProgWalk)
	program := exec.Command(leaktest.RequireProgram(t, "python3"), "-c", holder, strconv.Itoa(sockets))
	stdin, err := program.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := program.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	program.Stderr = t.Output()
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		stdin.Close()
		if err := program.Wait(); err != nil {
			t.Error(err)
		}
	}()
	answers := bufio.NewReader(stdout)
	answer := func() string {
		line, err := answers.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(line)
	}
	tell := func(command string) {
		if _, err := fmt.Fprintln(stdin, command); err != nil {
			t.Error(err)
		}
	}
	answer()
	all := func(each func(*Socket)) ([]error, error) { return it.Sockets(t.Context(), each) }
	closeWaits(t, all, program.Process.Pid) // with cookies from now on
	for range rounds {
		tell("fork")
		child, err := strconv.Atoi(answer())
		if err != nil {
			t.Fatal(err)
		}
		grown := make(chan string)
		go func() {
			tell("grow")
			grown <- answer()
		}()
		for has := ""; has == ""; {
			select {
			case has = <-grown:
			default:
			}
			if n := len(closeWaits(t, all, child)); n != sockets {
				t.Errorf("%d sockets of a process whose table grows, want %d", n, sockets)
			}
		}
		tell("end")
		answer()
	}
}
