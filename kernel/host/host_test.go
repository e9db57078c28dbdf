package host

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"closewait_exporter/internal/kerneltest"
	"closewait_exporter/internal/leaktest"
)

func TestAPathThatIsNoProcFileSystemIsAnErrorThatSaysWhatToDo(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		path string
		want string
	}{
		"an empty directory":              {t.TempDir(), "no proc file system"},
		"no such directory":               {"/no/such", "/no/such"},
		"a file instead of the directory": {file, file},
	} {
		t.Run(name, func(t *testing.T) {
			h, err := Open(c.path)
			if err == nil {
				h.Close()
				t.Fatal("no error")
			}
			for _, want := range []string{c.want, "--path.procfs"} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not contain %q", err, want)
				}
			}
		})
	}
}

// TestProcMayShowProcessesOnly has a /proc as a systemd unit with ProcSubset=pid has it.
func TestProcMayShowProcessesOnly(t *testing.T) {
	leaktest.RequireRoot(t)
	subset := kerneltest.MountProc(t, "subset=pid")
	if _, err := os.Stat(filepath.Join(subset, "stat")); err == nil {
		t.Skip("this kernel does not know subset=pid (Linux 5.8)")
	}
	h, err := Open(subset)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	whole, err := Open(DefaultPath)
	if err != nil {
		t.Fatal(err)
	}
	defer whole.Close()
	if h.PIDsAreOurs != whole.PIDsAreOurs || h.SeesAllProcesses != whole.SeesAllProcesses || h.FDSizes != whole.FDSizes {
		t.Errorf("with processes only %+v, with the whole of /proc %+v", h, whole)
	}
}

func TestTheBootTimeIsThatOfTheKernel(t *testing.T) {
	h, err := Open(DefaultPath)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := bytes.Cut(stat, []byte("\nbtime "))
	line, _, _ := bytes.Cut(rest, []byte{'\n'})
	seconds, err := strconv.ParseInt(string(line), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	if off := h.BootTime.Sub(time.Unix(seconds, 0)).Abs(); off > time.Second {
		t.Errorf("boot time %v, the kernel says %v", h.BootTime, time.Unix(seconds, 0))
	}
}
