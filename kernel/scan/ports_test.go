package scan_test

import (
	"os"
	"testing"

	"closewait_exporter/internal/hosttest"
	"closewait_exporter/internal/leaktest"
	"closewait_exporter/kernel/scan"
)

func TestLocalPortsInUseAreCountedInTheRangeOfTheNamespace(t *testing.T) {
	hosttest.Require(t)
	const file = "/proc/sys/net/ipv4/ip_local_port_range" // of the network namespace of the test
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.WriteFile(file, before, 0) })
	if err := os.WriteFile(file, []byte("40000 40199"), 0); err != nil {
		t.Fatal(err)
	}
	l := leaktest.Start(t, "--outbound=50")
	withEachScanner(t, func(t *testing.T, kind scannerKind) {
		scanner := openTracked(t, kind, scan.Options{})
		for range 2 {
			v := scanner.view()
			ports := v.holder(l.PID).Ports
			ratio, known := ports.Ratio()
			if kind.name == scan.ScannerProcFS { // it does not know who has opened a connection
				if known {
					t.Errorf("ratio %v", ratio)
				}
				continue
			}
			if !known || ports.Used != 50 || ports.Usable != 200 || ratio != 0.25 {
				t.Errorf("%+v, ratio %v (known: %v); want 50 of 200", ports, ratio, known)
			}
			if ports.Remote != l.Sockets[0].Remote {
				t.Errorf("to %v, want %v", ports.Remote, l.Sockets[0].Remote)
			}
		}
	})
}
