package deploy

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"closewait_exporter/internal/leaktest"
)

// machine is a copy of this host that has booted systemd, in its own process and network
// namespaces. Its file system is an empty layer over the file system of the host, so everything
// that is installed in it disappears with it.
type machine struct {
	t    *testing.T
	root string // its file system, from outside
	init string // its process 1, from outside
}

// marker is a file that exists only in the machine.
const marker = "machine-of-a-test"

func startMachine(t *testing.T) *machine {
	t.Helper()
	leaktest.RequireRoot(t)
	require(t, "systemd-nspawn", "systemctl", "nsenter", "mount", "python3")
	m := &machine{t: t, root: layer(t)}
	m.write(marker, "")
	log, err := os.Create(filepath.Join(t.TempDir(), "console"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	nspawn := exec.Command("systemd-nspawn", "--quiet", "--directory="+m.root, "--machine="+filepath.Base(filepath.Dir(m.root)),
		"--boot", "--private-network", "--console=pipe", "--register=no", "--keep-unit", "--link-journal=no",
		"--system-call-filter=pidfd_getfd bpf", "--capability=CAP_BPF,CAP_PERFMON", // which nspawn of systemd 252 forbids
		"--", "systemd.unit=sysinit.target")
	nspawn.Stdout, nspawn.Stderr = log, log
	nspawn.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := nspawn.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if init, err := strconv.Atoi(m.init); err != nil || syscall.Kill(init, syscall.SIGKILL) != nil {
			_ = nspawn.Process.Kill() // process 1 does not exist yet
		}
		_ = nspawn.Wait()
		if t.Failed() {
			t.Logf("console of the machine:\n%s", read(t, log.Name()))
		}
	})
	leaktest.Eventually(t, maxWait, func() (bool, string) {
		return m.hasBooted(nspawn.Process.Pid), "the machine does not boot:\n" + read(t, log.Name())
	})
	return m
}

// layer mounts an empty layer over the file system of the host.
func layer(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	run(t, "mount", "-t", "tmpfs", "-o", "mode=0755", "tmpfs", dir)
	t.Cleanup(func() { unmount(t, dir) })
	for _, name := range []string{"upper", "work", "root"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	root := filepath.Join(dir, "root")
	options := fmt.Sprintf("lowerdir=/,upperdir=%s/upper,workdir=%s/work", dir, dir)
	if output, err := exec.Command("mount", "-t", "overlay", "-o", options, "overlay", root).CombinedOutput(); err != nil {
		t.Skipf("needs an overlay over the root file system: %v %s", err, output)
	}
	t.Cleanup(func() { unmount(t, root) })
	return root
}

func unmount(t *testing.T, dir string) {
	leaktest.Eventually(t, maxWait, func() (bool, string) {
		output, err := exec.Command("umount", dir).CombinedOutput()
		return err == nil, string(output)
	})
}

// hasBooted finds process 1, the child of nspawn, and asks systemd.
func (m *machine) hasBooted(nspawn int) bool {
	children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", nspawn, nspawn)) // none yet
	m.init = strings.TrimSpace(string(children))
	if _, err := os.Stat(filepath.Join("/proc", m.init, "root", marker)); m.init == "" || err != nil {
		return false // it has not changed to its file system yet
	}
	_, err := m.try("systemctl", "is-active", "sysinit.target")
	return err == nil
}

// try runs a program in the machine.
func (m *machine) try(args ...string) (string, error) {
	output, err := exec.CommandContext(m.t.Context(), "nsenter", append([]string{"--all", "--target=" + m.init, "--"}, args...)...).CombinedOutput()
	return strings.TrimSpace(string(output)), err
}

// run runs a program in the machine, and fails the test if the program fails.
func (m *machine) run(args ...string) string {
	m.t.Helper()
	output, err := m.try(args...)
	if err != nil {
		m.t.Fatalf("%q in the machine: %v\n%s", args, err, output)
	}
	return output
}

// get gets a path of the exporter in the machine.
func (m *machine) get(path string) (string, error) {
	const script = `import sys, urllib.request; sys.stdout.write(urllib.request.urlopen(sys.argv[1]).read().decode())`
	return m.try("python3", "-c", script, "http://127.0.0.1:10052"+path)
}

// copy copies a file of the host into the machine.
func (m *machine) copy(from, to string) {
	m.t.Helper()
	m.write(to, read(m.t, from))
	info, err := os.Stat(from)
	if err == nil {
		err = os.Chmod(filepath.Join(m.root, to), info.Mode())
	}
	if err != nil {
		m.t.Fatal(err)
	}
}

func (m *machine) write(path, text string) {
	m.t.Helper()
	path = filepath.Join(m.root, path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		m.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		m.t.Fatal(err)
	}
}
