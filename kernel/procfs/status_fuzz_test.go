package procfs

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"closewait_exporter/internal/kerneltest"
)

// escaped is the name of a process as the kernel writes it to status (ESCAPE_SPACE|ESCAPE_SPECIAL
// of proc_task_name in fs/proc/array.c): without newlines.
var escaped = strings.NewReplacer("\n", `\n`, `\`, `\\`)

// FuzzStatusField checks that no name of a process changes the value of a field, and that nothing
// is invented.
func FuzzStatusField(f *testing.F) {
	f.Add("x", []byte(statusFile("x", 1000, 33)))
	f.Add("\nTracerPid:\t7\nState:\tT", []byte("TracerPid:"))
	f.Add("State:\tT (stopped)", []byte("State:\nState:\tR\n"))
	f.Add("a\\", []byte("\n\nUid:"))
	for _, comm := range kerneltest.HostileComms {
		f.Add(comm, []byte(comm))
	}
	fields := map[string]string{
		"Umask": "0022", "State": "S (sleeping)", "Tgid": "42", "TracerPid": "0", "Uid": "1\t4711\t1\t1", "FDSize": "64", "Groups": "", "Kthread": "0", "Seccomp": "",
	}
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		file := []byte(statusFile(escaped.Replace(name), 1, 4711))
		for field, want := range fields {
			if got := StatusField(file, field); got != want {
				t.Errorf("%s is %q, want %q, for the name %q", field, got, want, name)
			}
			got := StatusField(data, field)
			if strings.Contains(got, "\n") || got != "" && !strings.Contains(string(data), got) {
				t.Errorf("%s is %q in %q", field, got, data)
			}
		}
	})
}

func TestStatusFieldsOfThisThreadAreReadRightWhateverItsName(t *testing.T) {
	for _, comm := range append([]string{"\nTracerPid:\t7", "\nSigCgt:\tfff", "TracerPid:\t7"}, kerneltest.HostileComms...) {
		t.Run(fmt.Sprintf("%q", comm), func(t *testing.T) {
			kerneltest.NameThisThread(t, comm)
			data, err := os.ReadFile("/proc/thread-self/status")
			if err != nil {
				t.Fatal(err)
			}
			for field, want := range map[string]string{"TracerPid": "0", "Tgid": fmt.Sprint(os.Getpid())} {
				if got := StatusField(data, field); got != want {
					t.Errorf("%s is %q, want %q, in %.80q", field, got, want, data)
				}
			}
			if caught := StatusField(data, "SigCgt"); len(caught) != 16 {
				t.Errorf("the caught signals are %q", caught)
			}
		})
	}
}
