package supervisor

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/internal/kerneltest"
	"closewait_exporter/internal/leaktest"
	"closewait_exporter/kernel/host"
	"closewait_exporter/kernel/procfs"
)

// finder asks about real processes of this host. units answers for systemd.
func finder(t *testing.T, units closewait.Supervision, err error) *Finder {
	t.Helper()
	h, openErr := host.Open("/proc")
	if openErr != nil {
		t.Fatal(openErr)
	}
	t.Cleanup(h.Close)
	return New(h, procfs.NewCommandLines(h), func(context.Context, closewait.ProcessID) (closewait.Supervision, error) { return units, err })
}

// startChild starts a program that prints the pid of its child and then waits. It returns that pid.
func startChild(t *testing.T, program string, args ...string) int {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stdin.Close(); _, _ = io.Copy(io.Discard, stdout); _ = cmd.Wait() })
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// Programs in Python whose child ends with them: forked, and started as another program.
const (
	forks = `import os, sys
r, w = os.pipe()
pid = os.fork()
if pid == 0: os.close(w); os.read(r, 1); os._exit(0)
print(pid, flush=True); sys.stdin.read()`
	spawns = `import subprocess, sys
p = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
print(p.pid, flush=True); sys.stdin.read()`
)

// spawnsCat is a script for a shell whose child ends with its input.
const spawnsCat = `exec 3<&0; cat <&3 & echo $!; wait`

// copyOf copies a program under another name.
func copyOf(t *testing.T, program, name string) string {
	t.Helper()
	real, err := filepath.EvalSymlinks(program)
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(real)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAParentThatIsASupervisorStartsItsChildAgain(t *testing.T) {
	leaktest.RequireRoot(t)
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("needs python3")
	}
	f := finder(t, closewait.Supervision{By: closewait.BySystemd}, nil)
	tests := map[string]struct {
		program, script string
		want            closewait.Supervisor
	}{
		"a master of forked workers":               {python, forks, closewait.ByMaster},
		"another program of the same interpreter":  {python, spawns, closewait.NoSupervisor},
		"another program":                          {"/bin/sh", spawnsCat, closewait.NoSupervisor},
		"runsv":                                    {copyOf(t, "/bin/sh", "runsv"), spawnsCat, closewait.ByRunit},
		"s6-supervise":                             {copyOf(t, "/bin/sh", "s6-supervise"), spawnsCat, closewait.ByS6},
		"a program with the name of one within it": {copyOf(t, "/bin/sh", "my-runsv"), spawnsCat, closewait.NoSupervisor},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			pid := startChild(t, test.program, "-c", test.script)
			if test.script == spawnsCat { // the shell prints the pid before its child executes cat
				leaktest.Eventually(t, time.Minute, func() (bool, string) {
					comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
					return string(comm) == "cat\n", fmt.Sprintf("comm is %q (%v)", comm, err)
				})
			}
			p := &closewait.Process{ID: kerneltest.IdentityOf(t, pid)}
			if s := f.Of(t.Context(), p); s.By != test.want {
				t.Errorf("%s (%s), want %s", s.By, s.Text, test.want)
			}
		})
	}
}

func TestWithoutSuchAParentTheUnitDecides(t *testing.T) {
	always := closewait.Supervision{By: closewait.BySystemd, Text: "shop.service"}
	own := func(change func(*closewait.Process)) *closewait.Process {
		p := &closewait.Process{ID: closewait.ProcessID{PID: 1 << 30, Start: 1}} // no process has this pid
		change(p)
		return p
	}
	tests := map[string]struct {
		process *closewait.Process
		err     error
		want    closewait.Supervisor
	}{
		"a service":               {own(func(p *closewait.Process) { p.Unit = "shop.service" }), nil, closewait.BySystemd},
		"systemd does not answer": {own(func(p *closewait.Process) { p.Unit = "shop.service" }), errors.New("no bus"), closewait.NoSupervisor},
		"no service":              {own(func(*closewait.Process) {}), nil, closewait.NoSupervisor},
		"a container":             {own(func(p *closewait.Process) { p.Container = strings.Repeat("a", 64) }), nil, closewait.NoSupervisor},
		"a pod":                   {own(func(p *closewait.Process) { p.Pod, p.Container = "6ad2a9f1", strings.Repeat("a", 64) }), nil, closewait.NoSupervisor},
		"a unit of a user":        {own(func(p *closewait.Process) { p.Nested = "user@1000.service/shop.service" }), nil, closewait.NoSupervisor},
		"an unknown group":        {own(func(p *closewait.Process) { p.GroupUnknown, p.Unit = true, "shop.service" }), nil, closewait.NoSupervisor},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if s := finder(t, always, test.err).Of(t.Context(), test.process); s.By != test.want || s.Text == "" {
				t.Errorf("%s (%s), want %s", s.By, s.Text, test.want)
			}
		})
	}
}

func TestTheLeastAutorestartOfSupervisordCounts(t *testing.T) {
	tests := map[string]struct {
		config, included string
		want             autorestart
	}{
		"always":                        {"[program:a]\nautorestart=true\n[program:b]\nautorestart = TRUE ; a comment\n", "", always},
		"the default":                   {"[program:a]\ncommand=/bin/a\n", "", unexpected},
		"one that never restarts":       {"[program:a]\nautorestart=true\n[program:b]\nautorestart=false\n", "", never},
		"a value that is not known":     {"[program:a]\nautorestart=perhaps\n", "", never},
		"a comment":                     {"[program:a]\nautorestart=true\n;autorestart=false\n#autorestart=false\n", "", always},
		"other sections":                {"[program:a]\nautorestart=true\n[supervisord]\nautorestart=false\n", "", always},
		"an included file":              {"[include]\nfiles = conf.d/*.conf\n[program:a]\nautorestart=true\n", "[program:b]\nautorestart=false\n", never},
		"files on lines of their own":   {"[include]\nfiles =\n  none.conf\n  conf.d/*.conf\n[program:a]\nautorestart=true\n", "[program:b]\nautorestart=false\n", never},
		"only included programs":        {"[include]\nfiles = conf.d/*.conf\n", "[fcgi-program:b]\nautorestart=unexpected\n", unexpected},
		"a listener that is a program":  {"[eventlistener:a]\n[program:b]\nautorestart=true\n", "", unexpected},
		"no program that could be this": {"[supervisord]\n", "", never},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(dir, "supervisord.conf")
			must(t, os.WriteFile(file, []byte(test.config), 0o600))
			must(t, os.Mkdir(filepath.Join(dir, "conf.d"), 0o700))
			must(t, os.WriteFile(filepath.Join(dir, "conf.d/b.conf"), []byte(test.included), 0o600))
			if got, err := readSupervisord([]string{filepath.Join(dir, "none"), file}); got != test.want || err != nil {
				t.Errorf("%d, %v, want %d", got, err, test.want)
			}
		})
	}
}

func TestAConfigurationThatCannotBeReadRestartsNothing(t *testing.T) {
	for name, files := range map[string][]string{
		"none": {"/nonexistent/a"}, "a relative path": {"supervisord.conf"}, "a directory": {"/etc"}, "a device": {"/dev/zero"},
	} {
		if got, err := readSupervisord(files); got != never || err == nil {
			t.Errorf("%s: %d, %v", name, got, err)
		}
	}
}

func TestIncludedFilesThatCannotBeReadRestartNothing(t *testing.T) {
	dir := t.TempDir()
	for i := range maxConfigFiles + 1 {
		must(t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.conf", i)), nil, 0o600))
	}
	for pattern, want := range map[string]string{
		"%(here)s/*.conf": "has a variable", "*.conf": "more than", "[": "syntax error",
	} {
		file := filepath.Join(dir, "supervisord")
		must(t, os.WriteFile(file, []byte("[program:a]\nautorestart=true\n[include]\nfiles = "+pattern+"\n"), 0o600))
		if got, err := readSupervisord([]string{file}); got != never || err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "%!") {
			t.Errorf("%s: %d, %v", pattern, got, err)
		}
	}
}

func TestTheConfigurationIsTheOneOfTheArguments(t *testing.T) {
	for line, want := range map[string][]string{
		"":                             supervisordFiles,
		"-n -c /etc/a.conf":            {"/etc/a.conf"},
		"--configuration /etc/a.conf":  {"/etc/a.conf"},
		"--configuration=/etc/a.conf":  {"/etc/a.conf"},
		"-c/etc/a.conf -n":             {"/etc/a.conf"},
		"-n -c":                        supervisordFiles,
		"--childlogdir /x -c /a -c /b": {"/a"},
	} {
		if got := configOf(strings.Fields(line)); !slices.Equal(got, want) {
			t.Errorf("%q: %v, want %v", line, got, want)
		}
	}
}

func TestSupervisordRestartsAsItsConfigurationSays(t *testing.T) {
	for policy, want := range map[autorestart][2]bool{always: {true, true}, unexpected: {false, true}, never: {false, false}} {
		s := policy.supervision(1)
		if term, kill := s.WhyDown("TERM") == "", s.WhyDown("KILL") == ""; term != want[0] || kill != want[1] {
			t.Errorf("%d: after TERM %v, after KILL %v, want %v", policy, term, kill, want)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
