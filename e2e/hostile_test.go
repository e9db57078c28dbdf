package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"closewait_exporter/internal/leaktest"
	"closewait_exporter/internal/promtest"
)

// hostileNames are names of processes, in the syntax of leak --comm.
var hostileNames = map[string]string{
	"a false stat line":       `a\n) Z 1 closew`,
	"quotes":                  `"},x="\\ 1\n`,
	"a screen being cleared":  `\x1b[2J\x1b[1;1Hok`,
	"a title being set":       `\x1b]0;pwned\x07\r`,
	"a C1 control":            `\xc2\x9b31mred`,
	"text turned around":      "a\u202egpj.exe",
	"no UTF-8":                `\xff\xfe\xc3(`,
	"a rune cut by the limit": "12345678901234é",
	"nothing but a blank":     ` `,
}

// TestHostileNamesDoNoHarm runs leaking processes with such names, one of them in a directory
// with such a name as well.
func TestHostileNamesDoNoHarm(t *testing.T) {
	leaktest.RequireRoot(t)
	t.Parallel()
	pids := map[string]int{}
	for name, comm := range hostileNames {
		pids[name] = leaktest.Start(t, "--sockets=2", "--comm="+comm).PID
	}
	pids["a directory"] = startInHostileDirectory(t).PID
	e := serve(t)
	m := e.await(func(m metrics) (bool, string) {
		for name, pid := range pids {
			if m.sockets(pid) != 2 {
				return false, fmt.Sprintf("process %d with %s has %d sockets, want 2", pid, name, m.sockets(pid))
			}
		}
		return true, ""
	})
	if exe := m.all("closewait_process_info", of(pids["a directory"])...)[0].labels["exe"]; !strings.HasSuffix(exe, "/leak") {
		t.Errorf("the end of the path is missing: %q", exe)
	}

	t.Run("the page", func(t *testing.T) {
		leaktest.RequireProgram(t, "promtool")
		requireCleanPage(t, e)
		_, page := e.in(t).get("/metrics")
		requireHarmless(t, page)
	})
	t.Run("Prometheus", func(t *testing.T) {
		p := promtest.StartPrometheus(t, map[string][]string{"classic": {startFormatProxy(t, "text/plain", e.address)}, "openmetrics": {e.address}})
		for name, pid := range pids {
			t.Log("waiting for", name)
			p.Await(t, fmt.Sprintf(`sum(closewait_process_sockets{pid="%d"})`, pid), 4, 4) // by both jobs
		}
	})
	for _, args := range [][]string{{"list"}, {"list", "--sockets"}, {"list", "--output=json"}} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			var stderr strings.Builder
			command := exec.Command(program(t), args...)
			command.Stderr = &stderr
			out, err := command.Output()
			must(t, err)
			requireHarmless(t, string(out)+stderr.String())
			requireAllNamed(t, string(out), pids)
			if args[len(args)-1] == "--output=json" && !json.Valid(out) {
				t.Errorf("no valid JSON:\n%s", out)
			}
		})
	}
	t.Run("list on a terminal", func(t *testing.T) {
		const columns = 80
		shown := strings.ReplaceAll(onTerminal(t, columns, program(t), "list"), "\r\n", "\n")
		requireHarmless(t, shown)
		requireAllNamed(t, shown, pids)
		table, _, _ := strings.Cut(shown, "\n\n")
		for row := range strings.SplitSeq(table, "\n") {
			if utf8.RuneCountInString(row) > columns {
				t.Errorf("wider than the terminal: %q", row)
			}
		}
	})
}

// startInHostileDirectory starts a program whose path moves the cursor.
func startInHostileDirectory(t *testing.T) *leaktest.Leak {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a\n\x1b[31m\"\\\xff\u202e", "leak")
	must(t, os.Mkdir(filepath.Dir(path), 0o755))
	must(t, os.WriteFile(path, read(t, leaktest.Build(t)), 0o755))
	return leaktest.Where{Program: path}.Start(t, "--sockets=2")
}

// requireHarmless fails on control characters, which a terminal would interpret, and on invalid
// UTF-8.
func requireHarmless(t *testing.T, text string) {
	t.Helper()
	if !utf8.ValidString(text) {
		t.Error("it is not UTF-8")
	}
	for line := range strings.Lines(text) {
		for _, r := range strings.TrimSuffix(line, "\n") {
			if !strconv.IsPrint(r) {
				t.Errorf("%U in %q", r, line)
			}
		}
	}
}

func requireAllNamed(t *testing.T, text string, pids map[string]int) {
	t.Helper()
	for name, pid := range pids {
		if !strings.Contains(text, strconv.Itoa(pid)) {
			t.Errorf("process %d with %s is not in\n%s", pid, name, text)
		}
	}
}

// onTerminal runs a command on a terminal with the given number of columns and returns its output.
func onTerminal(t *testing.T, columns uint16, command ...string) string {
	t.Helper()
	master, terminal := openTerminal(t, columns)
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stdout, cmd.Stderr = terminal, terminal
	must(t, cmd.Start())
	terminal.Close()
	shown, _ := io.ReadAll(master) // ends with EIO when the last holder of the terminal has ended
	must(t, cmd.Wait())
	return string(shown)
}

// openTerminal makes a terminal and returns the side of its user and the side of its programs.
func openTerminal(t *testing.T, columns uint16) (master, terminal *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	must(t, err)
	t.Cleanup(func() { master.Close() })
	fd := int(master.Fd())
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	must(t, err)
	must(t, unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0))
	must(t, unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 50, Col: columns}))
	terminal, err = os.OpenFile(filepath.Join("/dev/pts", strconv.Itoa(number)), os.O_RDWR|unix.O_NOCTTY, 0)
	must(t, err)
	return master, terminal
}
