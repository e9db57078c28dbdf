package bpf

import (
	"errors"
	"fmt"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

func TestAnErrorNamesTheLimitOfLockedMemoryOnlyWhereItCounts(t *testing.T) {
	// As package ebpf writes it.
	refused := fmt.Errorf("map create: %w (MEMLOCK may be too low, consider rlimit.RemoveMemlock)", unix.EPERM)
	tests := map[string]struct {
		err, lockedMemory error
		want              string
	}{
		"a missing capability": {refused, nil, "load BPF iterator: operation not permitted: it needs CAP_BPF and CAP_PERFMON"},
		"a kernel that counts locked memory": {
			refused, errors.New("not permitted"),
			"load BPF iterator: operation not permitted: it needs CAP_BPF and CAP_PERFMON, and on this kernel a higher limit of locked memory (LimitMEMLOCK=64M)",
		},
		"an old kernel": {
			fmt.Errorf("program: %w", ebpf.ErrNotSupported), nil, "load BPF iterator: program: not supported: it needs Linux 5.10 or later with BTF (/sys/kernel/btf/vmlinux)",
		},
		"another error": {unix.ENOMEM, nil, "load BPF iterator: cannot allocate memory"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := explain(test.err, test.lockedMemory); got.Error() != test.want {
				t.Errorf("got  %v\nwant %s", got, test.want)
			}
		})
	}
	if err := explain(refused, nil); !errors.Is(err, unix.EPERM) || !denied(err) {
		t.Errorf("the cause is lost: %v", err)
	}
	if err := explain(nil, errors.New("not permitted")); err != nil {
		t.Errorf("got %v without an error", err)
	}
}
