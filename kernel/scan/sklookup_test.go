package scan_test

import (
	"fmt"
	"net"
	"os"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/google/go-cmp/cmp"

	"closewait_exporter/internal/hosttest"
	"closewait_exporter/internal/leaktest"
	"closewait_exporter/kernel/scan"
)

// lookUpTo makes the kernel give all connections in the network namespace to a listener.
func lookUpTo(t *testing.T, l *net.TCPListener) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	sockets, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.SockMap, KeySize: 4, ValueSize: 8, MaxEntries: 1})
	must(err)
	defer sockets.Close()
	raw, err := l.SyscallConn()
	must(err)
	must(raw.Control(func(fd uintptr) { err = sockets.Put(uint32(0), uint64(fd)) }))
	must(err)
	program, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.SkLookup, AttachType: ebpf.AttachSkLookup, License: "GPL",
		Instructions: asm.Instructions{
			asm.Mov.Reg(asm.R6, asm.R1),
			asm.StoreImm(asm.RFP, -4, 0, asm.Word),
			asm.LoadMapPtr(asm.R1, sockets.FD()),
			asm.Mov.Reg(asm.R2, asm.RFP),
			asm.Add.Imm(asm.R2, -4),
			asm.FnMapLookupElem.Call(),
			asm.JEq.Imm(asm.R0, 0, "pass"),
			asm.Mov.Reg(asm.R7, asm.R0),
			asm.Mov.Reg(asm.R1, asm.R6),
			asm.Mov.Reg(asm.R2, asm.R7),
			asm.Mov.Imm(asm.R3, 0),
			asm.FnSkAssign.Call(),
			asm.Mov.Reg(asm.R1, asm.R7),
			asm.FnSkRelease.Call(),
			asm.Mov.Imm(asm.R0, 1).WithSymbol("pass"), // SK_PASS
			asm.Return(),
		},
	})
	must(err)
	defer program.Close()
	ns, err := os.Open("/proc/self/ns/net")
	must(err)
	defer ns.Close()
	attached, err := link.AttachNetNs(int(ns.Fd()), program)
	must(err)
	t.Cleanup(func() { attached.Close() })
}

// TestAPortOfASocketLookupIsNoSeries: a BPF program can give connections to any port to one
// listener, and the sockets do not show it.
func TestAPortOfASocketLookupIsNoSeries(t *testing.T) {
	hosttest.Require(t)
	listener := listen(t, "127.0.0.1:0")
	lookUpTo(t, listener)
	withEachScanner(t, func(t *testing.T, e scannerKind) {
		want := "inbound other"
		if e.name == scan.ScannerProcFS { // a table has no counters
			want = "unknown other"
		}
		scanner := openTracked(t, e, scan.Options{})
		leave := func(ports ...int) map[string]int {
			for _, port := range ports {
				leaktest.ConnectTo(t, listener, fmt.Sprintf("127.0.0.1:%d", port), &net.Dialer{}).HalfCloseClient()
			}
			return servicesOf(t, scanner.view().View, os.Getpid())
		}
		for n := 1; n <= 3; n++ {
			if diff := cmp.Diff(map[string]int{want: n}, leave(1000+n)); diff != "" {
				t.Errorf("series of connections to %d ports (-want +got):\n%s", n, diff)
			}
		}
		onListener := addrPort(listener.Addr()).Port()
		if diff := cmp.Diff(map[string]int{want: 4, fmt.Sprint("inbound ", onListener): 1}, leave(1004, int(onListener))); diff != "" {
			t.Errorf("series of connections to other ports and to the listener's (-want +got):\n%s", diff)
		}
	})
}
