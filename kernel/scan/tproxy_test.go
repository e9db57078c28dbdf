package scan_test

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"closewait_exporter/closewait"
	"closewait_exporter/internal/hosttest"
	"closewait_exporter/internal/leaktest"
	"closewait_exporter/kernel/scan"
)

// transparent makes a listener accept connections to addresses of others.
func transparent(config *net.ListenConfig) {
	config.Control = func(network, _ string, c syscall.RawConn) (err error) {
		level, option := unix.SOL_IP, unix.IP_TRANSPARENT
		if network == "tcp6" {
			level, option = unix.SOL_IPV6, unix.IPV6_TRANSPARENT
		}
		if failed := c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), level, option, 1) }); failed != nil {
			return failed
		}
		return err
	}
}

// interceptTo makes the kernel give connections to a network to a transparent listener, as a
// transparent proxy does (Istio, Cilium, Squid).
func interceptTo(t *testing.T, l *net.TCPListener, family, network string) {
	t.Helper()
	run := func(stdin string, args ...string) {
		t.Helper()
		cmd := exec.Command(leaktest.RequireProgram(t, args[0]), args[1:]...)
		cmd.Stdin = strings.NewReader(stdin)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v: %s", args, err, out)
		}
	}
	to := addrPort(l.Addr())
	run(fmt.Sprintf(`table %s intercepted { chain arriving { type filter hook prerouting priority mangle; %s daddr %s tcp dport 443 tproxy to %v; }; }`, family, family, network, to), "nft", "-f", "-")
	t.Cleanup(func() { run("", "nft", "delete", "table", family, "intercepted") })
	version := map[string]string{"ip": "-4", "ip6": "-6"}[family]
	run("", "ip", version, "route", "add", "local", network, "dev", "lo")
	t.Cleanup(func() { run("", "ip", version, "route", "del", "local", network, "dev", "lo") })
}

// TestAnInterceptedConnectionIsInbound: no listener has the address or port of a connection that a
// transparent proxy has accepted. The port of its client must not pass for a service.
func TestAnInterceptedConnectionIsInbound(t *testing.T) {
	hosttest.Require(t)
	leaktest.RequireProgram(t, "nft")
	const connections = 5
	var ends []oneEnd
	for _, place := range []struct{ family, listen, network, to string }{
		{"ip", "127.0.0.1:0", "198.51.100.0/24", "198.51.100.7:443"},
		{"ip6", "[::1]:0", "2001:db8:7::/64", "[2001:db8:7::7]:443"},
	} {
		listener := listen(t, place.listen, transparent)
		interceptTo(t, listener, place.family, place.network)
		from := &net.TCPAddr{IP: addrPort(listener.Addr()).Addr().AsSlice()}
		for i := range connections {
			c := &connection{Connection: leaktest.ConnectTo(t, listener, place.to, &net.Dialer{LocalAddr: from}), t: t}
			if i%2 > 0 {
				c.send("a request")
				c.reply("an answer")
			}
			c.HalfCloseClient()
			if c.Local() != netip.MustParseAddrPort(place.to) {
				t.Fatalf("the local address is %v, want %s: it was not intercepted", c.Local(), place.to)
			}
			ends = append(ends, endOf(c.Server, false, false))
		}
	}
	ns := netNSOf(t, os.Getpid())
	withEachScanner(t, func(t *testing.T, e scannerKind) {
		want, port := closewait.Inbound, uint16(443)
		if e.name == scan.ScannerProcFS { // a table has no counters
			want, port = closewait.UnknownDirection, 0
		}
		v := openTracked(t, e, scan.Options{}).view()
		for _, end := range ends {
			if s := v.socket(ns, end.local, end.remote); s.Direction != want || s.Port() != port {
				t.Errorf("%v from %v: %v, service port %d, want %v, %d", end.local, end.remote, s.Direction, s.Port(), want, port)
			}
		}
	})
}
