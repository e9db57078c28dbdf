package web

import (
	"bytes"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"testing"
)

// fakeConn is a connection of a client.
type fakeConn struct {
	net.Conn
	name   string
	remote net.Addr
	closed *[]string
}

func (c *fakeConn) RemoteAddr() net.Addr { return c.remote }
func (c *fakeConn) Close() error         { *c.closed = append(*c.closed, c.name); return nil }

func TestTheConnectionThatHasBeenIdleLongestIsClosed(t *testing.T) {
	// An event is "+NAME ADDRESS" for a new connection, ">NAME" when a request begins, "<NAME" when it
	// ends and "-NAME" when the client closes.
	tests := []struct {
		name   string
		limit  int
		events string
		want   string // names in the order of closing
	}{
		{"as many as allowed", 2, "+a 10.0.0.1, +b 10.0.0.2", ""},
		{"one more", 2, "+a 10.0.0.1, +b 10.0.0.2, +c 10.0.0.3", "a"},
		{"a request makes it the youngest", 2, "+a 10.0.0.1, +b 10.0.0.2, >a, <a, +c 10.0.0.3", "b"},
		{"a busy one stays", 2, "+a 10.0.0.1, >a, +b 10.0.0.2, +c 10.0.0.3, +d 10.0.0.4", "b c"},
		{"busy until its last request has ended", 2, "+a 10.0.0.1, >a, >a, <a, +b 10.0.0.2, +c 10.0.0.3", "b"},
		{"all are busy: the one that has been so longest", 2, "+a 10.0.0.1, >a, +b 10.0.0.2, >b, +c 10.0.0.3", "a"},
		{"one that has gone frees its place", 2, "+a 10.0.0.1, +b 10.0.0.2, -a, +c 10.0.0.3", ""},
		{"the newest always gets a place", 1, "+a 10.0.0.1, >a, +b 10.0.0.2, +c 10.0.0.3", "a b"},
		{"a quarter for one client", 8, "+a 10.0.0.1, +b 10.0.0.2, +c 10.0.0.2, +d 10.0.0.2, +e 10.0.0.2", "b c"},
		{"a busy one of its own before an idle one of another", 4, "+a 10.0.0.1, +b 10.0.0.2, >b, +c 10.0.0.2", "b"},
		{"a /64 is one client", 8, "+a 2001:db8::1, +b 2001:db8::2:1, +c 2001:db8:0:1::1, +d 2001:db8::3", "a"},
		{"IPv4 on an IPv6 socket is the same client", 8, "+a 10.0.0.1, +b ::ffff:10.0.0.1, +c 10.0.0.1", "a"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var closed []string
			conns := map[string]*fakeConn{}
			tracked := map[string]*connection{}
			bound := newConnections(test.limit, slog.New(slog.DiscardHandler))
			for event := range strings.SplitSeq(test.events, ", ") {
				name, address, _ := strings.Cut(event[1:], " ")
				switch event[0] {
				case '+':
					conns[name] = &fakeConn{name: name, remote: &net.TCPAddr{IP: net.ParseIP(address), Port: 4711}, closed: &closed}
					tracked[name] = bound.add(conns[name])
				case '>':
					bound.request(tracked[name], 1)
				case '<':
					bound.request(tracked[name], -1)
				case '-':
					bound.remove(conns[name])
				}
			}
			if got := strings.Join(closed, " "); got != test.want {
				t.Errorf("closed %q, want %q", got, test.want)
			}
			for name, conn := range conns {
				if slices.Contains(closed, name) {
					bound.remove(conn) // as the server does later
				}
			}
			if len(bound.open) > test.limit {
				t.Errorf("%d are open, want at most %d", len(bound.open), test.limit)
			}
		})
	}
}

func TestClientsWithoutAnIPAddressAreOne(t *testing.T) {
	if got, want := clientOf(&net.UnixAddr{Name: "@", Net: "unix"}), clientOf(&net.UnixAddr{Name: "x", Net: "unix"}); got != want {
		t.Errorf("%v and %v are two clients", got, want)
	}
}

func TestSurplusConnectionsDoNotFillTheLog(t *testing.T) {
	var closed []string
	var log bytes.Buffer
	bound := newConnections(4, slog.New(slog.NewTextHandler(&log, nil)))
	for i := range 100 {
		bound.add(&fakeConn{name: fmt.Sprint(i), remote: &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: i}, closed: &closed})
	}
	if lines := strings.Count(log.String(), "\n"); lines != 1 || !strings.Contains(log.String(), "client=10.0.0.1/32") {
		t.Errorf("want one line about the client, got:\n%s", log.String())
	}
	if len(closed) != 99 || len(bound.clients) != 1 {
		t.Errorf("%d were closed and %d clients are known, want 99 and 1", len(closed), len(bound.clients))
	}
}
