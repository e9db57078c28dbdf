package scan_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"closewait_exporter/closewait"
	"closewait_exporter/collector"
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
	run(fmt.Sprintf(`table %s intercepted { chain arriving { type filter hook prerouting priority mangle; %s daddr %s meta l4proto tcp tproxy to %v; }; }`, family, family, network, to), "nft", "-f", "-")
	t.Cleanup(func() { run("", "nft", "delete", "table", family, "intercepted") })
	version := map[string]string{"ip": "-4", "ip6": "-6"}[family]
	run("", "ip", version, "route", "add", "local", network, "dev", "lo")
	t.Cleanup(func() { run("", "ip", version, "route", "del", "local", network, "dev", "lo") })
}

// TestAnInterceptedConnectionIsInbound: no listener has the address or port of a connection that a
// transparent proxy has accepted. Neither port is a service: its client has chosen both.
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
		want := closewait.Inbound
		if e.name == scan.ScannerProcFS { // a table has no counters
			want = closewait.UnknownDirection
		}
		v := openTracked(t, e, scan.Options{}).view()
		for _, end := range ends {
			if s := v.socket(ns, end.local, end.remote); s.Direction != want || s.Port() != 0 {
				t.Errorf("%v from %v: %v, service port %d, want %v, 0", end.local, end.remote, s.Direction, s.Port(), want)
			}
		}
	})
}

// servicesOf returns the values of closewait_process_sockets_by_service of one process, by
// direction and port, as they are exported.
func servicesOf(t *testing.T, v *closewait.View, pid int) map[string]int {
	t.Helper()
	c := collector.New(collector.Options{
		Observe:      func(context.Context) (*closewait.View, error) { return v, nil },
		ScanErrors:   func() map[closewait.ScanError]uint64 { return nil },
		MaxProcesses: 10, MaxServices: 100, PIDLabel: true,
	})
	families, err := c.Gatherer(t.Context()).Gather()
	if err != nil {
		t.Fatal(err)
	}
	services := map[string]int{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			if family.GetName() == "closewait_process_sockets_by_service" && labels["pid"] == strconv.Itoa(pid) {
				services[labels["direction"]+" "+labels["port"]] = int(m.GetGauge().GetValue())
			}
		}
	}
	return services
}

// TestAPortThatPeersChooseIsNoSeries: a client of a transparent proxy can dial any port.
func TestAPortThatPeersChooseIsNoSeries(t *testing.T) {
	hosttest.Require(t)
	leaktest.RequireProgram(t, "nft")
	const ports = 20
	listener := listen(t, "127.0.0.1:0", transparent)
	interceptTo(t, listener, "ip", "198.51.100.0/24")
	withEachScanner(t, func(t *testing.T, e scannerKind) {
		want := "inbound other"
		if e.name == scan.ScannerProcFS { // a table has no counters
			want = "unknown other"
		}
		scanner := openTracked(t, e, scan.Options{})
		from := &net.TCPAddr{IP: addrPort(listener.Addr()).Addr().AsSlice()}
		for i := range ports {
			leaktest.ConnectTo(t, listener, fmt.Sprintf("198.51.100.7:%d", 1000+i), &net.Dialer{LocalAddr: from}).HalfCloseClient()
			services := servicesOf(t, scanner.view().View, os.Getpid())
			if diff := cmp.Diff(map[string]int{want: i + 1}, services); diff != "" {
				t.Fatalf("series of %d connections to different ports (-want +got):\n%s", i+1, diff)
			}
		}
	})
}

// TestADrainedServerKeepsItsPorts: nothing listens on them either. Two ports are kept if no scan
// has seen the listeners.
func TestADrainedServerKeepsItsPorts(t *testing.T) {
	withEachScanner(t, func(t *testing.T, e scannerKind) {
		for _, c := range []struct {
			ports int
			seen  bool // a scan has seen the listeners
		}{{1, false}, {2, false}, {3, true}} {
			if e.name == scan.ScannerProcFS && !c.seen {
				continue // a table has no counters
			}
			args := []string{fmt.Sprintf("--sockets=%d", 2*c.ports)}
			for range c.ports {
				args = append(args, "--listen=127.0.0.1:0")
			}
			leak := leaktest.Start(t, args...)
			want := map[string]int{}
			for _, l := range leak.Listeners {
				want[fmt.Sprint("inbound ", l.Port())] = 2
			}
			scanner := openTracked(t, e, scan.Options{})
			if c.seen {
				scanner.view()
			}
			leak.Do("unlisten")
			for range 2 {
				if diff := cmp.Diff(want, servicesOf(t, scanner.view().View, leak.PID)); diff != "" {
					t.Errorf("series of a drained server with %d ports, seen before: %v (-want +got):\n%s", c.ports, c.seen, diff)
				}
			}
			leak.Stop()
		}
	})
}
