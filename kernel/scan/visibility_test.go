package scan

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel/host"
)

func TestVisibilitySaysWhichCapabilityIsMissingAndWhatIsLostByIt(t *testing.T) {
	const (
		search, ptrace, admin = 1 << unix.CAP_DAC_READ_SEARCH, 1 << unix.CAP_SYS_PTRACE, 1 << unix.CAP_SYS_ADMIN
		allThree              = search | ptrace | admin
	)
	holders := closewait.MissingCapability{Capability: "CAP_DAC_READ_SEARCH and CAP_SYS_PTRACE", Lost: "holders of the sockets of other users' processes", HidesSockets: true}
	programs := closewait.MissingCapability{Capability: "CAP_SYS_PTRACE", Lost: "which programs other users' processes run"}
	counts := closewait.MissingCapability{Capability: "CAP_DAC_READ_SEARCH", Lost: "numbers of open descriptors of other users' processes, which Linux before 6.2 shows only to those who may list them"}
	for name, c := range map[string]struct {
		scanner      string
		fdSizes      bool
		capabilities uint64
		want         []closewait.MissingCapability
	}{
		"ebpf with nothing else":                               {ScannerEBPF, true, 0, []closewait.MissingCapability{programs}},
		"ebpf with nothing else, before Linux 6.2":             {ScannerEBPF, false, 0, []closewait.MissingCapability{programs, counts}},
		"ebpf that may list, before Linux 6.2":                 {ScannerEBPF, false, search, []closewait.MissingCapability{programs}},
		"ebpf that may read and not list, before Linux 6.2":    {ScannerEBPF, false, ptrace, []closewait.MissingCapability{counts}},
		"ebpf with all, before Linux 6.2":                      {ScannerEBPF, false, allThree, nil},
		"netlink, which finds no holder that it cannot list":   {ScannerNetlink, false, 0, []closewait.MissingCapability{holders}},
		"procfs, which finds no holder that it cannot list":    {ScannerProcFS, false, ptrace, []closewait.MissingCapability{holders}},
		"netlink with all that it can use, before Linux 6.2":   {ScannerNetlink, false, allThree, nil},
		"procfs without what it has no use for, as of today":   {ScannerProcFS, true, search | ptrace, nil},
		"netlink that may list and not read, before Linux 6.2": {ScannerNetlink, false, search, []closewait.MissingCapability{holders}},
	} {
		t.Run(name, func(t *testing.T) {
			h := &host.Host{FDSizes: c.fdSizes, Capabilities: c.capabilities, SeesAllProcesses: true}
			i := slices.IndexFunc(candidates, func(is candidate) bool { return is.name == c.scanner })
			got := candidates[i].visibility(h, Options{Namespaces: OwnNamespace}, "")
			if diff := cmp.Diff(c.want, got.Missing); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}
