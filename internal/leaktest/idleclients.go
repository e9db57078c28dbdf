package leaktest

import (
	"io"
	"net"
	"testing"
)

// IdleClients opens n connections to a server, from a number of client addresses in turn. Each
// sends one HTTP request and then stays open, unless the server closes it, until the test ends.
func IdleClients(t testing.TB, address string, n, clients int) {
	t.Helper()
	for i := range n {
		dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+i%clients))}}
		client, err := dialer.DialContext(t.Context(), "tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { client.Close() })
		_, _ = io.WriteString(client, "GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n") // may be closed already
	}
}
