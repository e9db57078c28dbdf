package scan_test

import (
	"os"
	"testing"

	"closewait_exporter/closewait"
	"closewait_exporter/internal/hosttest"
	"closewait_exporter/internal/kerneltest"
	"closewait_exporter/kernel/scan"
)

func TestSocketsInFileTablesOfRingsBelongToTheirProcess(t *testing.T) {
	hosttest.Require(t)
	listener := listen(t, "127.0.0.1:0")
	c := connect(t, listener)
	kerneltest.RegisterInRing(t, c.Server)
	local, remote := c.Local(), c.Remote()
	c.CloseClient()
	if err := c.Server.Close(); err != nil { // the ring keeps the socket
		t.Fatal(err)
	}
	ns := netNSOf(t, os.Getpid())
	withEachScanner(t, func(t *testing.T, kind scannerKind) {
		scanner := openTracked(t, kind, scan.Options{})
		for range 3 { // later scans do not search again
			v := scanner.view()
			s := v.socket(ns, local, remote)
			if s.Owner != closewait.OwnedByProcess || len(s.Holders) != 1 || s.Holders[0].PID != os.Getpid() {
				t.Fatalf("owner %v, holders %v; want this process", s.Owner, s.Holders)
			}
			if n := v.held(os.Getpid()); n != 1 {
				t.Errorf("%d sockets held, want 1", n)
			}
		}
	})
}
