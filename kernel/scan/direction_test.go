package scan_test

import (
	"net"
	"net/netip"
	"os"
	"testing"

	"closewait_exporter/closewait"
	"closewait_exporter/internal/leaktest/tcp"
	"closewait_exporter/kernel/scan"
)

// oneEnd is an end of a connection that is in CLOSE_WAIT.
type oneEnd struct {
	local, remote netip.AddrPort
	opened        bool // by connect(2)
	listening     bool // something listens on the local port
}

func addrPort(a net.Addr) netip.AddrPort { return a.(*net.TCPAddr).AddrPort() }

func endOf(c *net.TCPConn, opened, listening bool) oneEnd {
	return oneEnd{addrPort(c.LocalAddr()), addrPort(c.RemoteAddr()), opened, listening}
}

// drained returns two accepted connections whose listener is closed, as of a server that is
// drained. Data was sent on the second.
func drained(t *testing.T, address string) (silent, talked oneEnd) {
	listener := listen(t, address)
	a, b := connect(t, listener), connect(t, listener)
	listener.Close()
	b.send("a request")
	b.reply("an answer")
	a.HalfCloseClient()
	b.HalfCloseClient()
	return endOf(a.Server, false, false), endOf(b.Server, false, false)
}

// clientEnd returns a connection of a client whose server has closed.
func clientEnd(t *testing.T, address string, talk bool) oneEnd {
	c := connect(t, listen(t, address))
	if talk {
		c.send("a request")
		c.reply("an answer")
	}
	if err := c.Server.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	return endOf(c.Client, true, false)
}

// sharedPort returns a connection of a client whose local port has a listener on another address.
func sharedPort(t *testing.T) oneEnd {
	other := listen(t, "127.0.0.2:0")
	from := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: other.Addr().(*net.TCPAddr).Port}
	listener := listen(t, "127.0.0.1:0")
	client, err := net.DialTCP("tcp", from, listener.Addr().(*net.TCPAddr))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	server, err := listener.AcceptTCP()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	if err := server.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	return endOf(client, true, true)
}

func TestDirectionIsReadFromTheSocketAndNotFromAMissingListener(t *testing.T) {
	ends := map[string]oneEnd{"a client on the port of a listener": sharedPort(t)}
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		ends["a server without a listener on "+address], ends["the same after a request on "+address] = drained(t, address)
		ends["a client to "+address] = clientEnd(t, address, false)
		ends["the same after an answer of "+address] = clientEnd(t, address, true)
	}
	ns := netNSOf(t, os.Getpid())
	withEachScanner(t, func(t *testing.T, e scannerKind) {
		v := openTracked(t, e, scan.Options{}).view()
		for name, end := range ends {
			want := closewait.Inbound
			switch {
			case e.name == scan.ScannerProcFS && !end.listening:
				want = closewait.UnknownDirection // a table has no counters
			case end.opened && e.name != scan.ScannerProcFS:
				want = closewait.Outbound
			}
			port := map[closewait.Direction]uint16{closewait.Inbound: end.local.Port(), closewait.Outbound: end.remote.Port()}[want]
			if s := v.socket(ns, end.local, end.remote); s.Direction != want || s.Port() != port {
				t.Errorf("%s: %v, service port %d, want %v, %d", name, s.Direction, s.Port(), want, port)
			}
		}
	})
}

// TestDirectionIsRememberedWhenTheSocketNoLongerShowsIt: a reset socket has its counters, and they
// prove nothing any more.
func TestDirectionIsRememberedWhenTheSocketNoLongerShowsIt(t *testing.T) {
	withEachScanner(t, func(t *testing.T, e scannerKind) {
		want := closewait.Outbound
		if e.name == scan.ScannerProcFS {
			want = closewait.UnknownDirection
		}
		listener := listen(t, "127.0.0.1:0")
		c := connect(t, listener)
		if err := c.Server.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		scanner := openTracked(t, e, scan.Options{})
		scanner.view()
		if err := c.Server.SetLinger(0); err != nil {
			t.Fatal(err)
		}
		c.Server.Close() // sends a RST
		v := scanner.await(func(v view) (bool, string) {
			h := v.find(os.Getpid())
			return h != nil && h.Ended.Len() == 1, "the reset socket is not seen"
		})
		if s := v.holder(os.Getpid()).Ended.Sockets[0]; s.Direction != want {
			t.Errorf("%v, want %v", s.Direction, want)
		}
	})
}

// TestDirectionInFinWait2IsReadFromTheSocket: there the own FIN has been acknowledged, which counts
// as a byte too.
func TestDirectionInFinWait2IsReadFromTheSocket(t *testing.T) {
	ns := netNSOf(t, os.Getpid())
	withEachScanner(t, func(t *testing.T, e scannerKind) {
		listener := listen(t, "127.0.0.1:0")
		opened, accepted := connect(t, listener), connect(t, listener)
		for _, c := range []*net.TCPConn{opened.Client, accepted.Server} {
			if err := c.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			control(t, c, func(fd int) error { return tcp.AwaitState(fd, tcp.FinWait2) })
		}
		listener.Close()
		v := openTracked(t, e, scan.Options{}).await(func(v view) (bool, string) {
			h := v.find(os.Getpid())
			return h != nil && h.Other.States[closewait.FinWait2] == 2, "not in FIN_WAIT2"
		})
		directions := map[netip.AddrPort]closewait.Direction{}
		for _, s := range v.holder(os.Getpid()).Other.Sockets {
			if s.ID.NetNS == ns {
				directions[s.Local] = s.Direction
			}
			if s.Direction != closewait.Inbound && s.Local == accepted.Local() && e.name != scan.ScannerProcFS {
				t.Errorf("an accepted socket is %v", s.Direction)
			}
		}
		if e.name == scan.ScannerProcFS {
			return // a table has no counters
		}
		if got := directions[opened.Remote()]; got != closewait.Outbound {
			t.Errorf("a socket that has connected is %v", got)
		}
	})
}
