package e2e

import (
	"os/exec"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"closewait_exporter/internal/leaktest"
)

// TestTenTimesAsManyIdleClientsAsAllowed connects with the default flags, from many addresses.
func TestTenTimesAsManyIdleClientsAsAllowed(t *testing.T) {
	leaktest.RequireRoot(t)
	const limit, clients = 512, 10 * 512
	const memory = 128 << 20 // bytes; half of the limit of the DaemonSet
	var own unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &own); err != nil || own.Cur < clients+100 {
		t.Skipf("needs %d descriptors, the limit is %d: %v", clients+100, own.Cur, err)
	}
	e := serve(t)
	leaktest.IdleClients(t, e.address, clients, 100)
	started := time.Now()
	m := e.scrape()
	if took := time.Since(started); took > 2*time.Second {
		t.Errorf("a scrape took %s, want at most 2s", took)
	}
	if success := m.one("closewait_scan_success"); success != 1 {
		t.Errorf("success %v, want 1", success)
	}
	const others = 50 // descriptors of the scanner and of the runtime
	if open := m.one("process_open_fds"); open > limit+others {
		t.Errorf("%v descriptors are open, want at most %d connections and %d others", open, limit, others)
	}
	if resident := m.one("process_resident_memory_bytes"); resident > memory {
		t.Errorf("it has %v bytes of memory, want at most %d", resident, memory)
	}
}

// TestTheSoftLimitOfDescriptorsIsRaised: distributions start programs with a soft limit of 1024.
func TestTheSoftLimitOfDescriptorsIsRaised(t *testing.T) {
	leaktest.RequireRoot(t)
	leaktest.RequireProgram(t, "prlimit")
	e := start(t, exec.Command("prlimit", "--nofile=64:4096", program(t), anyPort))
	if limit := e.scrape().one("process_max_fds"); limit < 4095 {
		t.Errorf("the soft limit is %v, want the hard one, 4096", limit)
	}
}
